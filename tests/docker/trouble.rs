//! What goes wrong with Docker, and what a person is told; nothing is left behind.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::docker::{Removed, build, docker, image, quick_image};
use crate::run::{ContainerRun, alone, turn};
use crate::support::{Folder, stderr, wait_until};

const SMALL: &str = r#"
schema_version = 1

[scenario]
name = "small"
seed = 7
duration = "6s"

[traffic]
rate = "20/s"

[balancer]
algorithm = "round_robin"

[[backend]]
name = "a"
service = { law = "constant", value = "2ms" }

[[backend]]
name = "b"
service = { law = "constant", value = "2ms" }

[[fault]]
name = "pause"
kind = "hang"
target = "a"
at = "1s"
for = "4s"
"#;

fn small(image: &str) -> ContainerRun {
    ContainerRun::of_image("small", SMALL, image).live()
}

/// What a run that cannot be says, with `image` and at the daemon `host`.
fn refusal(image: &str, host: Option<&str>) -> String {
    let run = small(image).with(&["--container-patience", "4"]);
    let run = host.into_iter().fold(run, ContainerRun::at).finish().ended_with(&[1]);
    assert!(!run.has_results());
    run.left.is_nothing();
    stderr(&run.output)
}

#[test]
fn without_a_daemon_a_person_hears_how_to_start_one() {
    let _turn = turn();
    let said = refusal(image(), Some("unix:///nowhere/docker.sock"));
    assert!(said.contains("no Docker daemon answers at unix:///nowhere/docker.sock"), "{said}");
    assert!(said.contains("sudo dockerd"), "{said}");
    let folder = Folder::new();
    let socket = folder.path().join("dead.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let said = refusal(image(), Some(&format!("unix://{}", socket.display())));
    assert!(said.contains("onnection refused"), "{said}");
    let said = refusal(image(), Some("tcp://127.0.0.1:2375"));
    assert!(said.contains("over a Unix socket alone"), "{said}");
}

#[test]
fn a_missing_image_is_named_with_what_makes_it() {
    let _turn = turn();
    let said = refusal("lab:no-such-image", None);
    assert!(said.contains("\"lab:no-such-image\" is not on this machine"), "{said}");
    assert!(said.contains("docker build -t lab:no-such-image ."), "{said}");
}

#[test]
fn a_container_that_never_gets_healthy_is_given_up_with_its_last_words() {
    let _turn = turn();
    let _removed = Removed::later(&[&["rmi", "--force", "lab:test-sick", "lab:test-broken"]]);
    // It serves, but Docker finds no program to check it with.
    build("lab:test-sick", &format!("FROM {}\nENV PATH=/nowhere\n", image()));
    let said = refusal("lab:test-sick", None);
    assert!(said.contains("backend a did not get healthy within 4s"), "{said}");
    assert!(said.contains("health check"), "{said}");
    // It ends at once, and says why.
    build(
        "lab:test-broken",
        &format!("FROM {}\nENTRYPOINT [\"/usr/local/bin/lab\", \"load\"]\n", image()),
    );
    let said = refusal("lab:test-broken", None);
    assert!(said.contains("ended before it was ready (exit status: 2)"), "{said}");
    assert!(said.contains("the end of its log"), "{said}");
}

/// A socket in front of Docker's that can be taken away.
struct Relay {
    gone: Arc<AtomicBool>,
}

impl Relay {
    fn start(socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let gone = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&gone);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                if seen.load(Ordering::Relaxed) {
                    return;
                }
                let docker = UnixStream::connect("/var/run/docker.sock").unwrap();
                let ends = [client.try_clone().unwrap(), docker.try_clone().unwrap()];
                pump(client.try_clone().unwrap(), docker.try_clone().unwrap());
                pump(docker, client);
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || {
                    while !seen.load(Ordering::Relaxed) {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    ends.iter().for_each(|end| drop(end.shutdown(std::net::Shutdown::Both)));
                });
            }
        });
        Self { gone }
    }

    fn cut(&self, socket: &Path) {
        self.gone.store(true, Ordering::Relaxed);
        // Wakes the listener, which then ends.
        drop(UnixStream::connect(socket));
        std::fs::remove_file(socket).unwrap();
    }
}

fn pump(mut from: UnixStream, mut to: UnixStream) {
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}

#[test]
fn a_docker_that_goes_away_ends_the_run_in_words() {
    let _alone = alone();
    let folder = Folder::new();
    let socket = folder.path().join("docker.sock");
    let relay = Relay::start(&socket);
    let run = small(image()).at(&format!("unix://{}", socket.display())).start();
    run.comes_to_a_pause();
    relay.cut(&socket);
    let run = run.finish().ended_with(&[1]);
    let said = stderr(&run.output);
    assert!(said.contains("Docker") && said.contains("backend"), "{said}");
    assert!(!run.has_results());
    sweep();
    run.left.is_nothing();
}

/// The next run removes what has no owner.
fn sweep() {
    let (text, _fault) = SMALL.split_once("[[fault]]").unwrap();
    let text = text.replace("\"6s\"", "\"1s\"");
    ContainerRun::new("small", &text).live().finish().measured().left.is_nothing();
}

#[test]
fn containers_end_with_lab_and_the_next_run_removes_what_could_not() {
    let _alone = alone();
    let run = small(image()).start();
    run.comes_to_a_pause();
    let left = run.kill();
    // The one that runs, and both sandboxes, hear that their input has closed.
    let one = || left.containers().len() == 1;
    assert!(wait_until(Duration::from_secs(20), one), "{:?}", left.containers());
    assert_eq!(left.paused(), left.containers());
    assert_eq!(left.networks().len(), 2);
    sweep();
    left.is_nothing();
}

/// The file of a proxy whose one group is kept in containers.
const SITE: &str = r#"
schema_version = 1

[balancer]
algorithm = "round_robin"

[balancer.retry]
on = ["error", "timeout"]

[[backend]]
name = "GROUP"

[autoscaler]
min = 1
max = 2
poll = "1s"
scrape_interval = "500ms"
rate_window = "2s"
backoff = { base = "2s", max = "4s" }
"#;

/// A proxy, and an autoscaler beside it, which end with the test; its containers go too.
struct Site {
    folder: Folder,
    listen: String,
    programs: Vec<Child>,
    _removed: Removed,
}

impl Site {
    /// The autoscaler makes containers of `image` at the daemon behind `socket`.
    fn start((group, image): (&str, &str), socket: Option<&str>, more: &[&str]) -> Self {
        let folder = Folder::new();
        folder.file("site.toml", &SITE.replace("GROUP", group));
        let ports = lab::live::ports::free(2).unwrap();
        let [listen, admin] = [0, 1].map(|place: usize| ports[place].to_string());
        let said = std::fs::File::create(folder.path().join("said")).unwrap();
        let proxy = ["proxy", "--config", "site.toml", "--listen", &listen, "--admin", &admin];
        let mut proxy = folder.lab(&proxy);
        let mut scaler = folder.lab(&["autoscale", "site.toml", "--admin", &admin, "--json"]);
        scaler.args(["--provider", "docker", "--image", image]).args(more).stdout(said);
        if let Some(socket) = socket {
            scaler.env("DOCKER_HOST", format!("unix://{socket}"));
        }
        let start = |command: &mut Command| command.stderr(Stdio::null()).spawn().unwrap();
        let programs = vec![start(proxy.stdout(Stdio::null())), start(&mut scaler)];
        let _removed = Removed::later(&[&["rm", "--force", &format!("{group}-1")]]);
        Self { folder, listen, programs, _removed }
    }

    /// What the autoscaler said so far.
    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("said")).unwrap()
    }

    /// How often it said this.
    fn count(&self, words: &str) -> usize {
        self.said().matches(words).count()
    }

    /// Whether a request is answered well.
    fn answers(&self) -> bool {
        let url = format!("http://{}/", self.listen);
        let arguments = ["--silent", "--fail", "--max-time", "5", "--output", "/dev/null", &url];
        Command::new("curl").args(arguments).status().unwrap().success()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for program in self.programs.iter_mut().rev() {
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

const READY: &str = r#""event":"ready""#;

/// Without Docker the autoscaler says so, asks less and less often, and touches nothing: what runs
/// serves on. When Docker is back it does what is to be done.
#[test]
fn an_autoscaler_whose_docker_goes_away_waits_for_it_and_loses_no_request() {
    let _turn = turn();
    let place = Folder::new();
    let socket = place.path().join("docker.sock");
    let relay = Relay::start(&socket);
    let site = Site::start(("lost", quick_image()), socket.to_str(), &[]);
    assert!(wait_until(Duration::from_secs(40), || site.count(READY) == 1), "{}", site.said());
    assert!(wait_until(Duration::from_secs(5), || site.answers()));
    relay.cut(&socket);
    let lost = "look at the instances: ";
    assert!(wait_until(Duration::from_secs(20), || site.count(lost) >= 2), "{}", site.said());
    let asked = site.count(lost);
    for _ in 0..10 {
        assert!(site.answers(), "{}", site.said());
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(site.count(lost) <= asked + 4, "it asks each second: {}", site.said());
    let said = site.said();
    assert!(said.contains("Docker") && !said.contains("drained"), "{said}");
    // What happens meanwhile is found when it is back.
    docker(&["kill", "lost-1"]);
    let _again = Relay::start(&socket);
    assert!(wait_until(Duration::from_secs(40), || site.count(READY) == 2), "{}", site.said());
    assert!(wait_until(Duration::from_secs(5), || site.answers()), "{}", site.said());
}

/// A container that never gets healthy is given up, and no balancer hears of it; the next is tried
/// after a pause.
#[test]
fn an_autoscaler_gives_up_a_container_that_never_gets_healthy() {
    let _turn = turn();
    let _removed = Removed::later(&[&["rmi", "--force", "lab:test-never"]]);
    let check = "HEALTHCHECK --interval=500ms CMD [\"/nowhere\"]";
    build("lab:test-never", &format!("FROM {}\n{check}\n", quick_image()));
    let site = Site::start(("never", "lab:test-never"), None, &["--start-limit", "2s"]);
    let twice = || site.count(r#""event":"failed","reason":"never-1 is not healthy"#) >= 2;
    assert!(wait_until(Duration::from_secs(60), twice), "{}", site.said());
    let pauses = || site.count("is tried again at") + site.count("the next comes at") > 0;
    assert!(wait_until(Duration::from_secs(30), pauses), "{}", site.said());
    let said = site.said();
    assert_eq!(site.count(READY), 0, "{said}");
    assert!(!site.answers(), "the proxy knows of none");
}
