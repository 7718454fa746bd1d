//! The job files, on a real Slurm of one machine, and against Kubernetes' published schema.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{Folder, wait_until};
use crate::{SMALL, clean, done, files, folder_of, python, sweep};

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/cluster").join(name)
}

/// munged, slurmctld and slurmd in a folder of their own, which end with the test.
struct Slurm {
    folder: PathBuf,
    programs: Vec<Child>,
}

impl Slurm {
    fn start(folder: &Path) -> Self {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let host = host.trim().split('.').next().unwrap().to_owned();
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap().trim().to_owned();
        for name in ["state", "spool"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        let key = folder.join("munge.key");
        let random = fs::File::open("/dev/urandom").unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(random, 1024), &mut bytes).unwrap();
        fs::write(&key, bytes).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&key, private).unwrap();
        let [control, node] = free_ports();
        let here = folder.display();
        let text = format!(
            "ClusterName=lab\nSlurmctldHost={host}(127.0.0.1)\nSlurmUser={user}\nSlurmdUser={user}\n\
             AuthType=auth/munge\nAuthInfo=socket={here}/munge.socket\n\
             SlurmctldPort={control}\nSlurmdPort={node}\n\
             StateSaveLocation={here}/state\nSlurmdSpoolDir={here}/spool\n\
             SlurmctldPidFile={here}/slurmctld.pid\nSlurmdPidFile={here}/slurmd.pid\n\
             SlurmctldLogFile={here}/slurmctld.log\nSlurmdLogFile={here}/slurmd.log\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\n\
             JobAcctGatherType=jobacct_gather/none\nMpiDefault=none\n\
             SelectType=select/cons_tres\nSelectTypeParameters=CR_CPU\n\
             ReturnToService=2\nSlurmdParameters=config_overrides\n\
             NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN\n\
             PartitionName=all Nodes=ALL Default=YES MaxTime=10:00 State=UP\n"
        );
        fs::write(folder.join("slurm.conf"), text).unwrap();
        let mut slurm = Self { folder: folder.to_owned(), programs: Vec::new() };
        let munge = [
            "key-file=munge.key",
            "socket=munge.socket",
            "pid-file=munged.pid",
            "log-file=munged.log",
            "seed-file=munge.seed",
        ];
        let munge = munge.map(|argument| {
            let (name, file) = argument.split_once('=').unwrap();
            format!("--{name}={here}/{file}")
        });
        slurm.run(
            "munged",
            &[&["--foreground".to_owned(), "--force".to_owned()][..], &munge].concat(),
        );
        assert!(wait_until(Duration::from_secs(5), || folder.join("munge.socket").exists()));
        let file = format!("{here}/slurm.conf");
        let with = |more: &[&str]| -> Vec<String> {
            let more = more.iter().map(ToString::to_string);
            ["-D", "-f", &file].iter().map(ToString::to_string).chain(more).collect()
        };
        slurm.run("slurmctld", &with(&[]));
        slurm.run("slurmd", &with(&["-N", &host]));
        let ready = wait_until(Duration::from_secs(20), || {
            let output = slurm.command("sinfo").args(["-h", "-o", "%t"]).output().unwrap();
            String::from_utf8_lossy(&output.stdout).trim() == "idle"
        });
        assert!(ready, "no node is idle: {}", slurm.logs());
        slurm
    }

    fn run(&mut self, program: &str, arguments: &[String]) {
        let said = fs::File::create(self.folder.join(format!("{program}.out"))).unwrap();
        let child = self
            .command(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; `sh tests/run` installs it"));
        self.programs.push(child);
    }

    fn command(&self, program: &str) -> Command {
        // Debian has the daemons where a user's PATH does not lead.
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("env");
        command.arg(program).env("PATH", path).env("SLURM_CONF", self.folder.join("slurm.conf"));
        command
    }

    fn logs(&self) -> String {
        let names = ["munged.out", "slurmctld.out", "slurmctld.log", "slurmd.out", "slurmd.log"];
        let read = |name| fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        names.map(read).join("\n")
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        // The node first, and munged last, without which the others wait for an answer.
        for child in self.programs.iter_mut().rev() {
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let ended =
                wait_until(Duration::from_secs(5), || matches!(child.try_wait(), Ok(Some(_))));
            if !ended {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

fn free_ports() -> [u16; 2] {
    let listeners = [0, 1].map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

#[test]
fn an_array_of_a_real_slurm_runs_a_sweep_once_and_whole() {
    let folder = Folder::new();
    folder.file("small.toml", SMALL);
    let slurm = Slurm::start(&folder.path().join("slurm"));
    let mut submit = clean(slurm.command("sbatch"));
    submit
        .current_dir(folder.path())
        .env("LAB", env!("CARGO_BIN_EXE_lab"))
        .env_remove("NO_COLOR")
        .args(["--array=0-9:3", "--output=task-%a.out"])
        .arg(shipped("sweep.sbatch"))
        .args(["small.toml", "--out", "array"]);
    let output = submit.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let out = folder.path().join("array");
    let complete = wait_until(Duration::from_secs(60), || {
        out.join("small").exists() && files(&folder_of(&out, "small")).contains_key("summary.json")
    });
    let said = ["0", "3", "6", "9"].map(|task| {
        fs::read_to_string(folder.path().join(format!("task-{task}.out"))).unwrap_or_default()
    });
    assert!(complete, "{said:?} {}", slurm.logs());
    for (place, said) in said.iter().enumerate() {
        let (number, id) = (place + 1, place * 3);
        let shard = format!("shard {number}/4, by SLURM_ARRAY_TASK_ID={id}");
        assert!(said.contains(&shard), "{said}");
    }
    drop(slurm);
    sweep(&folder, &["small.toml", "--out", "one"]);
    let one = files(&folder_of(&folder.path().join("one"), "small"));
    let array = files(&folder_of(&out, "small"));
    assert_eq!(done(&array).len(), 12);
    for name in done(&one).into_iter().chain([&"summary.json".to_owned()]) {
        assert!(one[name] == array[name], "{name} differs");
    }
}

/// No cluster runs here: what the file says is held against the schema that Kubernetes publishes,
/// and what must agree in it agrees. (That a task's index becomes its share, `resume` shows.)
#[test]
fn the_indexed_job_is_of_kubernetes_schema_and_its_numbers_agree() {
    let program = r#"
import sys, yaml, kubernetes_validate
documents = list(yaml.safe_load_all(open(sys.argv[1])))
assert [d["kind"] for d in documents] == ["PersistentVolumeClaim", "Job"]
for document in documents:
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
job = documents[1]["spec"]
wrong = dict(documents[1], spec=dict(job, completionsMode="Indexed"))
try:
    kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)
    raise SystemExit("the schema refuses nothing")
except kubernetes_validate.ValidationError:
    pass
container = job["template"]["spec"]["containers"][0]
assert job["completionMode"] == "Indexed"
assert container["args"][0] == "sweep"
shards = [e["value"] for e in container["env"] if e["name"] == "LAB_SHARDS"]
assert shards == [str(job["completions"])] == [str(job["parallelism"])]
claim = documents[0]["metadata"]["name"]
volumes = {v["name"]: v for v in job["template"]["spec"]["volumes"]}
assert volumes["results"]["persistentVolumeClaim"]["claimName"] == claim
assert {m["name"] for m in container["volumeMounts"]} == set(volumes)
"#;
    let mut command = Command::new(python("kubernetes_validate"));
    let output = command.args(["-c", program]).arg(shipped("indexed-job.yaml")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
