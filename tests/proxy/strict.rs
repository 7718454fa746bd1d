//! An upstream that reads requests by the letter of RFC 9112 and forgives nothing: whatever a
//! lenient server could misread is an anomaly, and an anomaly fails the test that sees it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::setup::eventually;

/// Longer than any test should take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a request said where its body ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Framing {
    None,
    Length,
    Chunked,
}

/// A request, whole or cut off.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Method and target, without the version.
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) framing: Framing,
    pub(crate) body: Vec<u8>,
    /// Names of trailer fields in lower case.
    pub(crate) trailers: Vec<String>,
    /// The connection ended before the body did.
    pub(crate) cut: bool,
}

impl Request {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Default)]
struct Record {
    requests: Vec<Request>,
    anomalies: Vec<String>,
}

/// The upstream; it answers each request with 200 and the request's target as body.
pub(crate) struct Strict {
    pub(crate) address: SocketAddr,
    record: Arc<Mutex<Record>>,
    /// Connections being served.
    open: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
}

impl Strict {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let record = Arc::<Mutex<Record>>::default();
        let stopped = Arc::new(AtomicBool::new(false));
        let open = Arc::new(AtomicUsize::new(0));
        let (recording, ending) = (Arc::clone(&record), Arc::clone(&stopped));
        let counting = Arc::clone(&open);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), false) = (stream, ending.load(Ordering::SeqCst)) else { return };
                let (record, open) = (Arc::clone(&recording), Arc::clone(&counting));
                open.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    drop(serve(stream, &record));
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, record, open, stopped }
    }

    /// What has come since the last call: the requests, and what was wrong with them.
    pub(crate) fn take(&self) -> (Vec<Request>, Vec<String>) {
        let record = std::mem::take(&mut *self.record.lock().expect("not poisoned"));
        (record.requests, record.anomalies)
    }

    /// Waits until all connections have ended.
    pub(crate) fn wait(&self) {
        eventually("the upstream's connections end", || self.open.load(Ordering::SeqCst) == 0);
    }
}

impl Drop for Strict {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

fn serve(stream: TcpStream, record: &Mutex<Record>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = Reader { stream, buffer: Vec::new(), at: 0 };
    loop {
        let request = match read(&mut reader) {
            Ok(None) => return Ok(()),
            Ok(Some(request)) => request,
            Err(anomaly) => {
                record.lock().expect("not poisoned").anomalies.push(anomaly);
                return Ok(());
            }
        };
        let answer = answer(&request);
        let cut = request.cut;
        record.lock().expect("not poisoned").requests.push(request);
        if cut {
            return Ok(());
        }
        reader.stream.write_all(&answer)?;
    }
}

fn answer(request: &Request) -> Vec<u8> {
    let target = request.line.split(' ').nth(1).unwrap_or_default();
    let body = if request.line.starts_with("HEAD ") { "" } else { target };
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", target.len()).into_bytes()
}

/// Bytes of a connection, taken line by line or by count.
struct Reader {
    stream: TcpStream,
    buffer: Vec<u8>,
    at: usize,
}

impl Reader {
    /// False at the end of the connection.
    fn more(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        // A connection that is reset has ended as well.
        let length = self.stream.read(&mut bytes).unwrap_or(0);
        self.buffer.extend_from_slice(&bytes[..length]);
        length > 0
    }

    /// A line without its CRLF; `None` if the connection ends first.
    fn line(&mut self) -> Result<Option<Vec<u8>>, String> {
        loop {
            let rest = &self.buffer[self.at..];
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = rest[..end].to_vec();
                self.at += end + 1;
                let Some(line) = line.strip_suffix(b"\r") else {
                    return Err(format!("a line ends with a bare LF: {}", shown(&line)));
                };
                if line.iter().any(|byte| *byte == b'\r' || *byte == 0) {
                    return Err(format!("a CR or NUL inside a line: {}", shown(line)));
                }
                return Ok(Some(line.to_vec()));
            }
            if !self.more() {
                return Ok(None);
            }
        }
    }

    /// So many bytes; fewer if the connection ends first.
    fn take(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() - self.at < length && self.more() {}
        let end = (self.at + length).min(self.buffer.len());
        let bytes = self.buffer[self.at..end].to_vec();
        self.at = end;
        bytes
    }
}

/// A request; `None` if the connection ends between requests or within a head.
fn read(reader: &mut Reader) -> Result<Option<Request>, String> {
    let Some(line) = reader.line()? else {
        // A request whose head was cut off cannot be misread.
        return Ok(None);
    };
    let line = request_line(&line)?;
    let mut fields = Vec::new();
    loop {
        let Some(line) = reader.line()? else { return Ok(None) };
        if line.is_empty() {
            break;
        }
        fields.push(field(&line)?);
    }
    let (framing, length) = framing(&line, &fields)?;
    let mut request =
        Request { line, fields, framing, body: Vec::new(), trailers: Vec::new(), cut: false };
    match framing {
        Framing::None => {}
        Framing::Length => {
            request.body = reader.take(length);
            request.cut = request.body.len() < length;
        }
        Framing::Chunked => request.cut = !chunks(reader, &mut request)?,
    }
    Ok(Some(request))
}

/// RFC 9112 section 3: a method, one space, a target, one space, `HTTP/1.1`.
fn request_line(line: &[u8]) -> Result<String, String> {
    let wrong = |what: &str| Err(format!("{what} in the request line {}", shown(line)));
    let parts: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let [method, target, version] = parts[..] else { return wrong("not three words") };
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return wrong("a bad method");
    }
    if *version != *b"HTTP/1.1" {
        return wrong("a bad version");
    }
    let graphic = target.iter().all(|byte| matches!(byte, 0x21..=0x7e)) && !target.contains(&b'#');
    let origin = target.starts_with(b"/") || (*target == *b"*" && *method == *b"OPTIONS");
    if !graphic || !origin {
        return wrong("a bad target");
    }
    Ok(format!("{} {}", shown(method), shown(target)))
}

/// RFC 9112 section 5 and RFC 9110 section 5.5.
pub(crate) fn field(line: &[u8]) -> Result<(String, String), String> {
    let wrong = |what: &str| Err(format!("{what} in the field line {}", shown(line)));
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return wrong("no colon") };
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return wrong("a bad name");
    }
    if !value.iter().all(|byte| matches!(byte, b'\t' | 0x20..=0x7e | 0x80..)) {
        return wrong("a control character");
    }
    Ok((shown(name).to_ascii_lowercase(), shown(value)))
}

/// RFC 9112 section 6.3, and the fields that a proxy owes an upstream (RFC 9110 sections 7.2, 7.6.1).
fn framing(line: &str, fields: &[(String, String)]) -> Result<(Framing, usize), String> {
    let all = |name: &str| -> Vec<&str> {
        fields.iter().filter(|(field, _)| field == name).map(|(_, value)| &**value).collect()
    };
    let wrong = |what: &str| Err(format!("{what}: {line} {fields:?}"));
    match all("host")[..] {
        [host] if is_host(host) => {}
        _ => return wrong("not exactly one good Host"),
    }
    for hop in ["keep-alive", "proxy-connection", "http2-settings", "proxy-authenticate"] {
        if !all(hop).is_empty() {
            return wrong("a field of the client's hop");
        }
    }
    let options = all("connection").join(",");
    let mut options = options.split(',').map(str::trim).filter(|option| !option.is_empty());
    if !options.all(|option| ["close", "keep-alive", "upgrade", "te"].contains(&option)) {
        return wrong("a Connection option of the client's");
    }
    match (&all("content-length")[..], &all("transfer-encoding")[..]) {
        ([], []) => Ok((Framing::None, 0)),
        ([], ["chunked"]) => Ok((Framing::Chunked, 0)),
        ([length], [])
            if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            match length.parse() {
                Ok(length) => Ok((Framing::Length, length)),
                Err(_) => wrong("an absurd Content-Length"),
            }
        }
        _ => wrong("framing that can be read in two ways"),
    }
}

/// `uri-host [ ":" port ]` of RFC 9110 section 7.2, names and addresses in the forms seen.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (host, "80"),
    };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:".contains(&byte);
    !name.is_empty() && name.bytes().all(good) && port.parse::<u16>().is_ok()
}

/// RFC 9112 section 7.1; false if cut off.
fn chunks(reader: &mut Reader, request: &mut Request) -> Result<bool, String> {
    loop {
        let Some(line) = reader.line()? else { return Ok(false) };
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = usize::from_str_radix(&shown(&line[..digits]), 16);
        let (Ok(size), true) = (size, digits == line.len() || line[digits] == b';') else {
            return Err(format!("a bad chunk line: {}", shown(&line)));
        };
        if size == 0 {
            return trailers(reader, request);
        }
        let data = reader.take(size);
        let whole = data.len() == size;
        request.body.extend_from_slice(&data);
        let end = reader.take(2);
        if !whole || end.len() < 2 {
            return Ok(false);
        }
        if end != b"\r\n" {
            return Err(format!("no CRLF after a chunk but {}", shown(&end)));
        }
    }
}

fn trailers(reader: &mut Reader, request: &mut Request) -> Result<bool, String> {
    loop {
        let Some(line) = reader.line()? else { return Ok(false) };
        if line.is_empty() {
            return Ok(true);
        }
        let (name, _) = field(&line)?;
        // RFC 9110 section 6.5.1: not what frames, routes or authenticates.
        let forbidden =
            ["content-length", "transfer-encoding", "host", "authorization", "content-type", "te"];
        if forbidden.contains(&&*name) {
            return Err(format!("the trailer {name}"));
        }
        request.trailers.push(name);
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Bytes as a person reads them; what is printable stays as it is.
pub(crate) fn shown(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(200)
        .map(|byte| match byte {
            0x20..=0x7e => char::from(*byte).to_string(),
            _ => byte.escape_ascii().to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the upstream makes of `bytes`.
    fn sent(bytes: &[u8]) -> (Vec<Request>, Vec<String>) {
        let upstream = Strict::start();
        let mut stream = TcpStream::connect(upstream.address).expect("a connection");
        stream.write_all(bytes).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("shut down");
        stream.read_to_end(&mut Vec::new()).expect("until it closes");
        upstream.wait();
        upstream.take()
    }

    /// A judge that overlooks these would make the whole table worthless.
    #[test]
    fn the_strict_upstream_sees_each_anomaly() {
        let head = |rest: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{rest}");
        let chunked = |rest: &str| head(&format!("Transfer-Encoding: chunked\r\n\r\n{rest}"));
        for bad in [
            "GET / HTTP/1.0\r\nHost: a\r\n\r\n".to_owned(),
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            "GET / HTTP/1.1\r\n\r\n".to_owned(),
            "GET / HTTP/1.1\nHost: a\r\n\r\n".to_owned(),
            head("Host: a\r\n\r\n"),
            head("X: a\rb\r\n\r\n"),
            head("X : a\r\n\r\n"),
            head(" folded\r\n\r\n"),
            head("X: \u{1}\r\n\r\n"),
            head("Content-Length: 1\r\nContent-Length: 1\r\n\r\na"),
            head("Content-Length: +1\r\n\r\na"),
            head("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            head("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
            head("Connection: x-secret\r\n\r\n"),
            chunked("1\na\r\n0\r\n\r\n"),
            chunked("1\r\na\n0\r\n\r\n"),
            chunked("0x1\r\na\r\n0\r\n\r\n"),
            chunked("0\r\nContent-Length: 1\r\n\r\n"),
            chunked("0\r\n\r\nrubbish\r\n"),
        ] {
            let (_, anomalies) = sent(bad.as_bytes());
            assert_eq!(anomalies.len(), 1, "{bad:?}: {anomalies:?}");
        }
    }

    #[test]
    fn the_strict_upstream_tells_whole_requests_from_cut_ones() {
        let good = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n0\r\nX-T: 1\r\n\r\n";
        let cut = "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab";
        let (requests, anomalies) = sent(format!("{good}{cut}").as_bytes());
        assert_eq!((requests.len(), anomalies.len()), (2, 0), "{anomalies:?}");
        let (first, second) = (&requests[0], &requests[1]);
        assert_eq!((&*first.line, &*first.body, first.cut), ("POST /a", &b"ab"[..], false));
        assert_eq!((first.framing, &*first.trailers[0]), (Framing::Chunked, "x-t"));
        assert_eq!((second.framing, second.cut), (Framing::Length, true));
    }
}
