//! Scripted servers and a scripted client around one engine, in one thread and in lock step.
//!
//! Nothing sleeps to let things settle: a request is placed once it has reached a server or was
//! answered, and it has ended once its client has the whole response. All engines here decide in
//! one thread, which sends the end of a response in the same turn in which it gives the server
//! back, and so before it can look at a request that was sent after that end.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use lab::host::clock;
use lab::units::Span;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

use super::problem::{Problem, Tried};
use super::wire::{Message, Wire};

const PATIENCE: Span = Span::from_secs(20);

/// What a server does with requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Keeps the request until it is released.
    #[default]
    Hold,
    /// Answers with this status.
    Answer(u16),
    /// Closes the connection without an answer.
    Close,
    /// Refuses the connection: for those that refuse from the start, since no request gets there.
    Refuse,
    /// Never answers.
    Hang,
    /// A head with a NUL byte in a value, which HAProxy takes, and a space in a name.
    BrokenHead,
    /// A correct head, and the connection closes in the body.
    Cut,
}

/// A request of the client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// Its number, which finds it again at the servers.
    pub(crate) id: u64,
    pub(crate) method: &'a str,
    /// The value of the field `x-key`, by which engines are told to hash.
    pub(crate) key: Option<&'a str>,
}

impl Request<'_> {
    pub(crate) const fn get(id: u64) -> Self {
        Self { id, method: "GET", key: None }
    }

    fn text(&self) -> String {
        let Self { id, method, key } = self;
        let key = key.map(|key| format!("x-key: {key}\r\n")).unwrap_or_default();
        let body = if *method == "GET" { "" } else { "content-length: 2\r\n" };
        let end = if *method == "GET" { "" } else { "hi" };
        format!("{method} /{id} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n{key}{body}\r\n{end}")
    }
}

/// Where a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// To the server of this place, on its connection of this number, from 1.
    At { server: usize, connection: usize },
    /// Back to the client with this status.
    Refused(u16),
    /// Nowhere yet.
    Queued,
}

impl Placed {
    /// The server, whatever the connection.
    pub(crate) const fn server(self) -> Option<usize> {
        match self {
            Self::At { server, .. } => Some(server),
            _ => None,
        }
    }
}

/// A request from start to end.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    /// Servers that it reached, in order.
    pub(crate) hits: Vec<usize>,
    pub(crate) response: Message,
    pub(crate) took: Span,
}

enum Event {
    Arrived { id: u64, server: usize, connection: usize },
    Answered { id: u64, response: Message },
}

struct Server {
    /// `None` refuses connections.
    listener: Option<TcpListener>,
    /// Keeps the port of one that refuses.
    _reserved: Option<OwnedFd>,
    address: SocketAddr,
    accepted: usize,
    behaviour: Behaviour,
}

/// A connection of the engine to a server.
struct Upstream {
    server: usize,
    number: usize,
    wire: Wire,
    /// The request that is kept here.
    holds: Option<u64>,
}

/// Servers and client around one engine.
pub(crate) struct Stage {
    servers: Vec<Server>,
    upstreams: Vec<Upstream>,
    clients: BTreeMap<u64, Wire>,
    events: VecDeque<Event>,
    engine: SocketAddr,
}

impl Stage {
    /// A stage with so many servers on free ports; those named refuse connections.
    pub(crate) fn new(servers: usize, refusing: &[usize]) -> Tried<Self> {
        let ports = vec![0; servers];
        Self::at_ports(&ports, refusing)
    }

    /// The same on these ports, 0 for a free one.
    pub(crate) fn at_ports(ports: &[u16], refusing: &[usize]) -> Tried<Self> {
        let server = |(place, &port): (usize, &u16)| Server::new(port, refusing.contains(&place));
        Ok(Self {
            servers: ports.iter().enumerate().map(server).collect::<Tried<_>>()?,
            upstreams: Vec::new(),
            clients: BTreeMap::new(),
            events: VecDeque::new(),
            engine: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        })
    }

    /// The servers' addresses in order.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(|server| server.address).collect()
    }

    /// Where requests are sent from now on.
    pub(crate) const fn drive(&mut self, engine: SocketAddr) {
        self.engine = engine;
    }

    /// What `server` does with the requests that reach it from now on.
    pub(crate) fn behave(&mut self, server: usize, behaviour: Behaviour) {
        self.servers[server].behaviour = behaviour;
    }

    /// What all of them do.
    pub(crate) fn behave_all(&mut self, behaviour: Behaviour) {
        self.servers.iter_mut().for_each(|server| server.behaviour = behaviour);
    }

    /// Sends a request and waits until it has reached a server or was answered.
    pub(crate) fn start(&mut self, request: Request<'_>) -> Tried<Placed> {
        self.send(request)?;
        self.wait(&format!("request {} was sent", request.id), |stage| stage.placed(request.id))
    }

    /// The same, but also ends when `queued` says that the engine keeps the request.
    pub(crate) fn start_or_queue(
        &mut self,
        request: Request<'_>,
        mut queued: impl FnMut() -> Tried<bool>,
    ) -> Tried<Placed> {
        self.send(request)?;
        let deadline = clock::now() + PATIENCE;
        while clock::now() < deadline {
            self.step(Span::from_millis(1))?;
            if let Some(placed) = self.placed(request.id) {
                return Ok(placed);
            }
            if queued()? {
                // It may have been placed between the look and the question.
                self.step(Span::ZERO)?;
                return Ok(self.placed(request.id).unwrap_or(Placed::Queued));
            }
        }
        Err(Problem::Silence(format!("request {} was sent", request.id)))
    }

    /// Lets the server answer request `id` with 200, and waits until the client has the response.
    pub(crate) fn finish(&mut self, id: u64) -> Tried<()> {
        let holds = |upstream: &Upstream| upstream.holds == Some(id);
        let Some(place) = self.upstreams.iter().position(holds) else {
            return Err(Problem::Unexpected(format!("no server holds request {id}")));
        };
        self.upstreams[place].wire.write(&answer(200))?;
        self.upstreams[place].holds = None;
        let response =
            self.wait(&format!("request {id} was released"), |stage| stage.answer(id))?;
        match response.word(1) {
            "200" => Ok(()),
            other => Err(Problem::Unexpected(format!("request {id} ended with {other}"))),
        }
    }

    /// Requests that reached a server since the last call without having been waited for, in
    /// order: those that had been queued.
    pub(crate) fn arrived(&mut self) -> Vec<(u64, usize)> {
        let mut arrived = Vec::new();
        self.events.retain(|event| match event {
            Event::Arrived { id, server, .. } => {
                arrived.push((*id, *server));
                false
            }
            Event::Answered { .. } => true,
        });
        arrived
    }

    /// Waits until at least one request has reached a server, and says which did.
    pub(crate) fn await_arrivals(&mut self, count: usize) -> Tried<Vec<(u64, usize)>> {
        let mut all = Vec::new();
        self.wait("a queued request was to reach a server", |stage| {
            all.append(&mut stage.arrived());
            (all.len() >= count).then_some(())
        })?;
        Ok(all)
    }

    /// A request from start to end, by servers that do not hold it.
    pub(crate) fn ask(&mut self, request: Request<'_>) -> Tried<Seen> {
        let began = clock::now();
        self.send(request)?;
        let what = format!("request {} was sent", request.id);
        let response = self.wait(&what, |stage| stage.answer(request.id))?;
        let took = clock::elapsed(began);
        let mut hits = Vec::new();
        self.events.retain(|event| match event {
            Event::Arrived { id, server, .. } if *id == request.id => {
                hits.push(*server);
                false
            }
            _ => true,
        });
        let status = response.word(1).parse().unwrap_or(0);
        Ok(Seen { status, hits, response, took })
    }

    fn send(&mut self, request: Request<'_>) -> Tried<()> {
        let mut wire = Wire::connect(self.engine)?;
        wire.write(request.text().as_bytes())?;
        self.clients.insert(request.id, wire);
        Ok(())
    }

    fn placed(&mut self, wanted: u64) -> Option<Placed> {
        let place = self.events.iter().position(|event| match event {
            Event::Arrived { id, .. } | Event::Answered { id, .. } => *id == wanted,
        })?;
        Some(match self.events.remove(place)? {
            Event::Arrived { server, connection, .. } => Placed::At { server, connection },
            Event::Answered { response, .. } => {
                Placed::Refused(response.word(1).parse().unwrap_or(0))
            }
        })
    }

    fn answer(&mut self, wanted: u64) -> Option<Message> {
        let is_it = |event: &Event| matches!(event, Event::Answered { id, .. } if *id == wanted);
        let place = self.events.iter().position(is_it)?;
        match self.events.remove(place)? {
            Event::Answered { response, .. } => Some(response),
            Event::Arrived { .. } => None,
        }
    }

    fn wait<T>(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> Option<T>) -> Tried<T> {
        let deadline = clock::now() + PATIENCE;
        loop {
            if let Some(done) = done(self) {
                return Ok(done);
            }
            if clock::now() >= deadline {
                return Err(Problem::Silence(what.to_owned()));
            }
            self.step(Span::from_millis(200))?;
        }
    }

    /// Waits until something can be read, at most so long, and takes it in. Servers come first: an
    /// answer never overtakes the arrival that led to it.
    fn step(&mut self, limit: Span) -> Tried<()> {
        let (servers, upstreams, clients) = self.ready(limit)?;
        for server in servers {
            self.accept(server)?;
        }
        // From the end, since one that closed is removed.
        for place in upstreams.into_iter().rev() {
            self.take_in(place)?;
        }
        for id in clients {
            let Some(wire) = self.clients.get_mut(&id) else { continue };
            wire.fill();
            if let Some(response) = wire.response() {
                self.clients.remove(&id);
                self.events.push_back(Event::Answered { id, response });
            } else if wire.has_ended() {
                return Err(Problem::Unexpected(format!("request {id} got no whole response")));
            }
        }
        Ok(())
    }

    fn ready(&self, limit: Span) -> Tried<(Vec<usize>, Vec<usize>, Vec<u64>)> {
        let listening: Vec<(usize, &TcpListener)> = self
            .servers
            .iter()
            .enumerate()
            .filter_map(|(place, server)| Some((place, server.listener.as_ref()?)))
            .collect();
        let listeners = listening.iter().map(|(_, listener)| listener.as_fd());
        let upstreams = self.upstreams.iter().map(|upstream| upstream.wire.as_fd());
        let clients = self.clients.values().map(Wire::as_fd);
        let mut polled: Vec<PollFd<'_>> = listeners
            .chain(upstreams)
            .chain(clients)
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let limit = Timespec {
            tv_sec: (limit.0 / 1_000_000_000) as i64,
            tv_nsec: (limit.0 % 1_000_000_000) as i64,
        };
        match poll(&mut polled, Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Problem::during("cannot poll")(error.into())),
        }
        let mut flags = polled.iter().map(|fd| !fd.revents().is_empty());
        let mut is_ready = || flags.next().unwrap_or(false);
        let servers = listening.iter().filter(|_| is_ready()).map(|(place, _)| *place).collect();
        let upstreams = (0..self.upstreams.len()).filter(|_| is_ready()).collect();
        let clients = self.clients.keys().filter(|_| is_ready()).copied().collect();
        Ok((servers, upstreams, clients))
    }

    /// Accepts every connection that waits, and reads what has come with it.
    fn accept(&mut self, server: usize) -> Tried<()> {
        loop {
            let state = &mut self.servers[server];
            let Some(listener) = &state.listener else { return Ok(()) };
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(Problem::during("cannot accept")(error)),
            };
            state.accepted += 1;
            let (number, wire) = (state.accepted, Wire::new(stream)?);
            self.upstreams.push(Upstream { server, number, wire, holds: None });
            self.take_in(self.upstreams.len() - 1)?;
        }
    }

    fn take_in(&mut self, place: usize) -> Tried<()> {
        let upstream = &mut self.upstreams[place];
        upstream.wire.fill();
        let (server, connection) = (upstream.server, upstream.number);
        if let Some(request) = upstream.wire.request() {
            let id = request.word(1).trim_start_matches('/').parse().map_err(|_| {
                Problem::Unexpected(format!("a server got what the client never sent: {request:?}"))
            })?;
            self.events.push_back(Event::Arrived { id, server, connection });
            if !act(self.servers[server].behaviour, upstream, id)? {
                self.upstreams.swap_remove(place);
            }
        } else if upstream.wire.has_ended() {
            self.upstreams.swap_remove(place);
        }
        Ok(())
    }
}

/// Whether the connection goes on.
fn act(behaviour: Behaviour, upstream: &mut Upstream, id: u64) -> Tried<bool> {
    match behaviour {
        Behaviour::Hold => upstream.holds = Some(id),
        Behaviour::Hang | Behaviour::Refuse => {}
        Behaviour::Answer(status) => upstream.wire.write(&answer(status))?,
        Behaviour::Close => return Ok(false),
        Behaviour::BrokenHead => {
            upstream.wire.write(b"HTTP/1.1 200 OK\r\nX-Bad: a\0b\r\nX Bad: c\r\n\r\n")?;
            return Ok(false);
        }
        Behaviour::Cut => {
            upstream.wire.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")?;
            return Ok(false);
        }
    }
    Ok(true)
}

fn answer(status: u16) -> Vec<u8> {
    format!("HTTP/1.1 {status} Word\r\nContent-Length: 2\r\n\r\nok").into_bytes()
}

impl Server {
    fn new(port: u16, refuses: bool) -> Tried<Self> {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let failed = || format!("cannot use {wanted} for a server");
        let (listener, reserved, address) = if refuses {
            let bound = reserve(wanted).map_err(Problem::during(failed()))?;
            (None, Some(bound.0), bound.1)
        } else {
            let listener = listen(wanted).map_err(Problem::during(failed()))?;
            let address = listener.local_addr().map_err(Problem::during(failed()))?;
            (Some(listener), None, address)
        };
        let behaviour = Behaviour::default();
        Ok(Self { listener, _reserved: reserved, address, accepted: 0, behaviour })
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    // Another test's port of the moment may be the one that a recording needs.
    let deadline = clock::now() + Span::from_secs(10);
    let listener = loop {
        match TcpListener::bind(address) {
            Err(_) if address.port() != 0 && clock::now() < deadline => {
                std::thread::sleep(Duration::from_millis(50));
            }
            bound => break bound?,
        }
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// An address that is taken and where nobody listens.
fn reserve(address: SocketAddr) -> std::io::Result<(OwnedFd, SocketAddr)> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &address)?;
    let bound = SocketAddr::try_from(getsockname(&socket)?)?;
    Ok((socket, bound))
}
