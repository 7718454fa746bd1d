//! One connection and the request on it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;

use bytes::Bytes;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

use super::super::pool::Route;
use super::response::Response;
use crate::host::poll::Poll;
use crate::record::RequestRow;
use crate::scenario::client_address;
use crate::traffic::Request;
use crate::units::Nanos;

/// A place among the connections of a thread, and which of its requests is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// A request under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) row: RequestRow,
    pub(super) request: Request,
    pub(super) route: Route,
    pub(super) began: Nanos,
    pub(super) deadline: Nanos,
    pub(super) no_body: bool,
    pub(super) idempotent: bool,
}

/// A slot for a connection: open, being opened, or vacant. Its buffers outlive the connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Option<TcpStream>,
    pub(super) is_connecting: bool,
    pub(super) route: Route,
    /// Requests that it has carried.
    pub(super) carried: u32,
    pub(super) flight: Option<Flight>,
    /// Counts requests, so that a deadline of one does not meet the next.
    pub(super) generation: u32,
    /// Counts connections, so that an event of one does not meet the next.
    pub(super) epoch: u32,
    /// The request's bytes, a long body that follows them, and how many of both are written.
    pub(super) bytes: Vec<u8>,
    pub(super) apart: Bytes,
    pub(super) written: usize,
    pub(super) response: Response,
}

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    Bytes(usize),
    Nothing,
    /// The server sends no more.
    End,
    Broken,
}

impl Connection {
    pub(super) fn vacant() -> Self {
        Self {
            stream: None,
            is_connecting: false,
            route: Route { target: 0, client: 0 },
            carried: 0,
            flight: None,
            generation: 0,
            epoch: 0,
            bytes: Vec::new(),
            apart: Bytes::new(),
            written: 0,
            response: Response::default(),
        }
    }

    /// Begins to open it; `poll` tells of it as `slot` when it stands. From the address of the
    /// client that its route names, if the server is on this host.
    pub(super) fn open(&mut self, address: SocketAddr, poll: &Poll, slot: u32) -> io::Result<()> {
        self.close();
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket: OwnedFd = socket_with(family, SocketType::STREAM, flags, None)?;
        let client = self.route.client;
        if let IpAddr::V4(server) = address.ip()
            && client != 0
            && server.is_loopback()
        {
            bind(&socket, &SocketAddr::new(client_address(client).into(), 0))?;
        }
        match connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        poll.add(&stream, u64::from(self.epoch) << 32 | u64::from(slot))?;
        (self.stream, self.is_connecting, self.carried) = (Some(stream), true, 0);
        Ok(())
    }

    /// It stands, or what came of it.
    pub(super) fn opened(&mut self) -> io::Result<()> {
        self.is_connecting = false;
        match self.stream.as_ref().map(TcpStream::take_error) {
            Some(Ok(None)) => Ok(()),
            Some(Ok(Some(error)) | Err(error)) => Err(error),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    pub(super) fn close(&mut self) {
        self.stream = None;
        self.is_connecting = false;
        self.epoch = self.epoch.wrapping_add(1);
    }

    /// Writes what the socket takes of the request; whether that was all.
    pub(super) fn write(&mut self) -> io::Result<bool> {
        let Some(stream) = &mut self.stream else { return Err(io::ErrorKind::NotConnected.into()) };
        loop {
            let rest = match self.bytes.get(self.written..) {
                Some(rest @ [_, ..]) => rest,
                _ => &self.apart[self.written - self.bytes.len()..],
            };
            if rest.is_empty() {
                return Ok(true);
            }
            match stream.write(rest) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether all of the request is written.
    pub(super) const fn is_sent(&self) -> bool {
        self.written == self.bytes.len() + self.apart.len()
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Received {
        let Some(stream) = &mut self.stream else { return Received::Broken };
        loop {
            return match stream.read(buffer) {
                Ok(0) => Received::End,
                Ok(count) => Received::Bytes(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Received::Nothing,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => Received::Broken,
            };
        }
    }
}
