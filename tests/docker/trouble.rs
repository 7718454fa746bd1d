//! What goes wrong with Docker, and what a person is told; nothing is left behind.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::docker::{Removed, build, image};
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
