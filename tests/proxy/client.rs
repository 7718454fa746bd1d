//! HTTP/1.1 by hand, so that nothing of the proxy's own library checks itself.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any test should take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request or a response.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    /// The first line.
    pub(crate) start: String,
    /// Fields in order, as they came.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// Status of a response.
    pub(crate) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
    }

    /// Values of a field.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a field that must not be there twice.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() < 2, "{name} is there {} times", values.len());
        values.first().copied()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One side of a connection.
pub(crate) struct Wire(BufReader<TcpStream>);

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Self(BufReader::new(stream))
    }

    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        Self::new(stream)
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// Sends a request as text and reads the response.
    pub(crate) fn ask(&mut self, request: &str) -> Message {
        self.write_all(request.as_bytes()).expect("sent");
        self.response(request.starts_with("HEAD"))
    }

    /// A GET for `/`.
    pub(crate) fn get(&mut self) -> Message {
        self.ask("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
    }

    pub(crate) fn response(&mut self, head_only: bool) -> Message {
        self.try_response(head_only).expect("a response")
    }

    /// A response; an error if it breaks off.
    pub(crate) fn try_response(&mut self, head_only: bool) -> io::Result<Message> {
        let mut message = self.head()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let bodiless = head_only || matches!(message.status(), 101 | 204 | 304);
        if !bodiless {
            self.body(&mut message, true)?;
        }
        Ok(message)
    }

    /// A request; `None` at the end of the connection.
    pub(crate) fn request(&mut self) -> io::Result<Option<Message>> {
        let Some(mut message) = self.head()? else { return Ok(None) };
        self.body(&mut message, false)?;
        Ok(Some(message))
    }

    pub(crate) fn head(&mut self) -> io::Result<Option<Message>> {
        let Some(start) = self.line()? else { return Ok(None) };
        let mut message = Message { start, ..Message::default() };
        while let Some(line) = self.line()?.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').expect("a field");
            message.fields.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(Some(message))
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned())),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn body(&mut self, message: &mut Message, until_close: bool) -> io::Result<()> {
        if message.field("transfer-encoding") == Some("chunked") {
            return self.chunks(&mut message.body);
        }
        match message.field("content-length").map(str::parse) {
            Some(length) => {
                message.body.resize(length.expect("a length"), 0);
                self.0.read_exact(&mut message.body)
            }
            None if until_close => self.0.read_to_end(&mut message.body).map(drop),
            None => Ok(()),
        }
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let line = self.line()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let length = usize::from_str_radix(line.trim(), 16).expect("a chunk's length");
            let start = body.len();
            body.resize(start + length, 0);
            self.0.read_exact(&mut body[start..])?;
            self.line()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if length == 0 {
                return Ok(());
            }
        }
    }

    pub(crate) const fn reader(&mut self) -> &mut impl Read {
        &mut self.0
    }

    /// Sends back what comes until the end.
    pub(crate) fn echo(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            let length = self.0.read(&mut buffer)?;
            if length == 0 {
                return Ok(());
            }
            self.write_all(&buffer[..length])?;
        }
    }

    pub(crate) fn read_exact(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).expect("so many bytes");
        bytes
    }

    /// Whether the other side has closed, within the patience of a test.
    pub(crate) fn closed(&mut self) -> bool {
        matches!(self.0.fill_buf(), Ok([]))
    }

    /// Whether the other side closes, whatever it says before.
    pub(crate) fn drained(&mut self) -> bool {
        self.0.read_to_end(&mut Vec::new()).is_ok()
    }

    pub(crate) fn shut_down(&self) {
        self.0.get_ref().shutdown(Shutdown::Both).expect("shut down");
    }
}
