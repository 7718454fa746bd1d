//! A log that real NGINX has just written.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lab::import::log::{Format, Log};

const FORMAT: &str = "$remote_addr [$time_local] \"$request\" $status $msec $request_time \
                      $upstream_response_time \"$http_user_agent\"";
const SLOW: Duration = Duration::from_millis(150);
const CLIENTS: usize = 6;
const EACH: usize = 50;

/// Ends NGINX with the test, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_log_of_real_nginx_gives_what_its_clients_and_backend_did() {
    let folder = std::env::temp_dir().join(format!("lab-import-nginx-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = backend.local_addr().unwrap();
    thread::spawn(move || {
        backend.incoming().flatten().for_each(|stream| drop(thread::spawn(|| serve(stream))))
    });
    // Free a moment ago; NGINX takes it at once.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nginx = start(&folder, address, upstream);
    let begun: Mutex<Vec<u64>> = Mutex::default();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let begun = &begun;
            scope.spawn(move || (0..EACH).for_each(|i| send(address, client * EACH + i, begun)));
        }
    });
    // A request is logged behind its last byte.
    let path = folder.join("access.log");
    let text = wait_for_lines(&path, CLIENTS * EACH);
    drop(nginx);
    let format = Format::named(FORMAT).unwrap();
    let mut log = Log::default();
    (1..).zip(text.lines()).for_each(|(number, line)| log.line(&format, number, line));
    fs::remove_dir_all(&folder).unwrap();
    let all = CLIENTS * EACH;
    assert_eq!(
        (log.bad, log.requests(), log.with_arrival(), log.with_service()),
        (0, all, all, all)
    );
    assert!(!log.whole_seconds());
    let trace = log.trace(8, 1);
    let names: Vec<&str> = trace.classes.iter().map(|class| class.name.as_str()).collect();
    assert_eq!(names, ["fast-id", "slow-id"]);
    let slow: Vec<_> = trace.rows.iter().filter(|row| row.class == 1).collect();
    assert_eq!(slow.len(), all / 3);
    for row in &slow {
        // NGINX's clock moves in milliseconds.
        let demand = row.demand.unwrap().as_secs_f64();
        assert!(demand >= SLOW.as_secs_f64() - 0.002, "{demand}");
    }
    // Without the subtraction of the time that it took, each would be 150 ms late.
    let mut begun = begun.into_inner().unwrap();
    begun.sort_unstable();
    let mut off: Vec<u64> = slow
        .iter()
        .zip(&begun)
        .map(|(row, begun)| (trace.first.0 + row.at.0).abs_diff(*begun))
        .collect();
    off.sort_unstable();
    assert!(off[off.len() / 2] < 75_000_000, "{off:?}");
}

fn start(folder: &Path, address: SocketAddr, upstream: SocketAddr) -> Running {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {name};\n"))
        .concat();
    let text = format!(
        "daemon off;\nmaster_process off;\nworker_processes 1;\npid nginx.pid;\nevents {{}}\nhttp {{\n{temporary}\
         log_format timed '{FORMAT}';\naccess_log access.log timed;\nserver {{ listen {address};\n\
         location / {{ proxy_pass http://{upstream}; }} }} }}\n"
    );
    fs::write(folder.join("nginx.conf"), text).unwrap();
    let child = Command::new("nginx")
        .args(["-e", "error.log", "-c", "nginx.conf", "-p"])
        .arg(folder)
        .stdin(Stdio::null())
        .spawn()
        .expect("nginx is installed");
    let nginx = Running(child);
    for _ in 0..500 {
        if TcpStream::connect(address).is_ok() {
            return nginx;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let errors = fs::read_to_string(folder.join("error.log")).unwrap_or_default();
    panic!("nginx does not listen: {errors}");
}

/// Answers one request after the time that its path asks for.
fn serve(mut stream: TcpStream) {
    let head = read_head(&mut stream);
    if head.contains("/slow/") {
        thread::sleep(SLOW);
    }
    let _ =
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
}

fn read_head(stream: &mut TcpStream) -> String {
    let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => head.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Sends request `number`, and notes when if it is a slow one.
#[allow(
    clippy::disallowed_methods,
    reason = "it is held against the system's clock, which NGINX reads"
)]
fn send(address: SocketAddr, number: usize, begun: &Mutex<Vec<u64>>) {
    let kind = if number.is_multiple_of(3) { "slow" } else { "fast" };
    let mut stream = TcpStream::connect(address).unwrap();
    if kind == "slow" {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        begun.lock().unwrap().push(u64::try_from(now.as_nanos()).unwrap());
    }
    write!(stream, "GET /{kind}/{number} HTTP/1.1\r\nHost: t\r\nUser-Agent: a \"b\"\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

fn wait_for_lines(path: &Path, count: usize) -> String {
    for _ in 0..250 {
        let text = fs::read_to_string(path).unwrap_or_default();
        if text.ends_with('\n') && text.lines().count() >= count {
            return text;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("NGINX has not logged {count} requests");
}
