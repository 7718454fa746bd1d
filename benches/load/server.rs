//! The server: answers at once, and knows when each request arrived. One thread, so that all arrivals
//! are seen by one clock and in one order; lean, so that a tool is never limited by it.
#![expect(clippy::print_stdout, reason = "it tells the other process what it saw")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::thread;

use lab::host::clock;
use lab::host::poll::Poll;

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: text/plain\r\nconnection: keep-alive\r\n\r\nok";
const HEAD_END: &[u8] = b"\r\n\r\n";
const LISTENER: u64 = u64::MAX;
const ORDERS: u64 = u64::MAX - 1;

/// The server's process, seen from the benchmark.
pub(crate) struct Server {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub(crate) port: u16,
    pub(crate) core: String,
    pub(crate) other_cores: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        let (core, other_cores) = match thread::available_parallelism().map_or(1, usize::from) {
            1 => ("0".to_owned(), "0".to_owned()),
            count => ((count - 1).to_string(), format!("0-{}", count - 2)),
        };
        let own = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new("taskset");
        command.args(["-c", &core]).arg(own).arg("serve");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("taskset (Debian: util-linux) starts the server");
        let orders = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut server = Self { child, orders, answers, port: 0, core, other_cores };
        server.port = server.answer().trim().parse().expect("the server says its port");
        server
    }

    /// Forgets what arrived.
    pub(crate) fn reset(&mut self) {
        self.orders.write_all(b"reset\n").expect("the server lives");
        self.answer();
    }

    /// When requests arrived, on the monotonic clock, in nanoseconds, in order.
    pub(crate) fn arrivals(&mut self) -> Vec<u64> {
        self.orders.write_all(b"arrivals\n").expect("the server lives");
        self.answer().split_whitespace().filter_map(|word| word.parse().ok()).collect()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the server answers");
        line
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

struct Client {
    stream: TcpStream,
    /// How much of the end of a head was seen.
    matched: usize,
}

/// The life of the server: until its orders end.
pub(crate) fn serve() -> ExitCode {
    match answer_all() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn answer_all() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?.port());
    let mut poll = Poll::new()?;
    poll.add(&listener, LISTENER)?;
    poll.add(io::stdin(), ORDERS)?;
    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut arrivals: Vec<u64> = Vec::with_capacity(1 << 22);
    let mut buffer = vec![0; 64 << 10];
    loop {
        for index in 0..poll.wait(None)? {
            let ready = poll.ready(index);
            match ready.token {
                LISTENER => accept(&listener, &mut clients, &poll)?,
                ORDERS if !obey(&mut arrivals)? => return Ok(()),
                ORDERS => {}
                slot => {
                    let place = &mut clients[slot as usize];
                    if let Some(client) = place
                        && !client.serve(&mut buffer, &mut arrivals, ready.closed)
                    {
                        *place = None;
                    }
                }
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    clients: &mut Vec<Option<Client>>,
    poll: &Poll,
) -> io::Result<()> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        poll.add(&stream, clients.len() as u64)?;
        clients.push(Some(Client { stream, matched: 0 }));
    }
}

/// Does what the benchmark asks for; `false` once that is gone.
fn obey(arrivals: &mut Vec<u64>) -> io::Result<bool> {
    let mut order = [0; 64];
    let count = io::stdin().lock().read(&mut order)?;
    let mut out = io::stdout().lock();
    match &order[..count] {
        [] => return Ok(false),
        b"reset\n" => {
            arrivals.clear();
            writeln!(out)?;
        }
        _ => {
            let words: Vec<String> = arrivals.iter().map(u64::to_string).collect();
            writeln!(out, "{}", words.join(" "))?;
        }
    }
    out.flush()?;
    Ok(true)
}

impl Client {
    /// Answers what arrived; `false` if the connection is over.
    fn serve(&mut self, buffer: &mut [u8], arrivals: &mut Vec<u64>, closed: bool) -> bool {
        loop {
            let count = match self.stream.read(buffer) {
                Ok(0) => return false,
                Ok(count) => count,
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            };
            let now = clock::now().0;
            for &byte in &buffer[..count] {
                self.matched = match byte == HEAD_END[self.matched] {
                    true => self.matched + 1,
                    false => usize::from(byte == HEAD_END[0]),
                };
                if self.matched == HEAD_END.len() {
                    self.matched = 0;
                    arrivals.push(now);
                    if self.stream.write_all(RESPONSE).is_err() {
                        return false;
                    }
                }
            }
            if count < buffer.len() && !closed {
                return true;
            }
        }
    }
}
