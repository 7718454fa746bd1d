//! What a thread does on a connection: opens it, writes a request, reads its response.

use std::io;

use rustix::io::Errno;

use super::super::head::{Invalid, LabHeaders};
use super::super::rules;
use super::connection::{Connection, Flight, Place, Received};
use super::shared::Shared;
use super::worker::Worker;
use crate::host::clock;
use crate::host::poll::Ready;
use crate::record::RequestError;
use crate::units::Nanos;

impl Worker<'_> {
    /// Puts `flight` on the connection in `slot`, which is its own from now on.
    fn board(&mut self, slot: u32, mut flight: Flight, now: Nanos) {
        flight.row.sent_ns = self.shared.relative(now);
        let template = self.shared.template(flight.route.target, flight.request.class);
        let jar = &self.shared.jar;
        let key = flight.request.key;
        let cookies = |out: &mut Vec<u8>| {
            if let Some(jar) = jar {
                jar.write(now, key, out);
            }
        };
        let connection = &mut self.connections[slot as usize];
        connection.bytes.clear();
        template.append(&flight.request, cookies, &mut connection.bytes);
        connection.apart = template.apart();
        connection.written = 0;
        connection.response.reset();
        let place = Place { slot, generation: connection.generation };
        connection.flight = Some(flight);
        let connections = &self.connections;
        let is_over =
            |place: Place| connections[place.slot as usize].generation != place.generation;
        self.deadlines.add(flight.deadline, place, is_over);
    }

    /// On a connection that stands.
    pub(super) fn send(&mut self, slot: u32, mut flight: Flight, now: Nanos) {
        flight.row.connected_ns = self.shared.relative(now);
        self.board(slot, flight, now);
        self.connections[slot as usize].carried += 1;
        self.write(slot, now);
    }

    /// On one that is to be opened.
    pub(super) fn open(&mut self, flight: Flight, now: Nanos) {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.connections.push(Connection::vacant());
            self.connections.len() as u32 - 1
        });
        self.connections[slot as usize].route = flight.route;
        self.board(slot, flight, now);
        self.connect(slot, now);
    }

    fn connect(&mut self, slot: u32, now: Nanos) {
        let connection = &mut self.connections[slot as usize];
        let address = self.shared.config.targets[connection.route.target].address;
        if let Err(error) = connection.open(address, &self.poll, slot) {
            self.starved += u64::from(is_want(&error));
            self.finish(slot, Err(RequestError::Connect), now);
        }
    }

    /// Writes what is left of the request in `slot`.
    fn write(&mut self, slot: u32, now: Nanos) {
        let connection = &mut self.connections[slot as usize];
        match connection.write() {
            Ok(_) => {}
            Err(_) if connection.written == 0 => self.broke(slot, true, now),
            // A server that does not want the rest may have said so.
            Err(_) => self.read(slot, true),
        }
    }

    /// The connection broke before its request was answered. Where the server closed a kept one just
    /// when a request was written to it (idle for too long, or told to reload), it is sent again on a
    /// new one, as every client does: if no byte of a response came, and either nothing was sent or it
    /// may be done twice (RFC 9110, 9.2.2; RFC 9112, 9.3.1).
    fn broke(&mut self, slot: u32, unsent: bool, now: Nanos) {
        let connection = &mut self.connections[slot as usize];
        let again = connection.carried > 1
            && connection.flight.as_ref().is_some_and(|flight| {
                flight.row.first_byte_ns == 0 && (unsent || flight.idempotent)
            });
        if again {
            self.resent += 1;
            connection.written = 0;
            self.connect(slot, now);
        } else {
            self.finish(slot, Err(RequestError::Reset), now);
        }
    }

    /// Something happened on a connection.
    pub(super) fn react(&mut self, ready: Ready) {
        let (slot, epoch) = (ready.token as u32, (ready.token >> 32) as u32);
        let connection = &mut self.connections[slot as usize];
        if connection.epoch != epoch {
            return;
        }
        if connection.is_connecting {
            if !ready.writable {
                return;
            }
            let now = clock::now();
            if connection.opened().is_err() {
                self.finish(slot, Err(RequestError::Connect), now);
            } else {
                self.opened += 1;
                connection.carried = 1;
                if let Some(flight) = &mut connection.flight {
                    flight.row.connected_ns = self.shared.relative(now);
                }
                self.write(slot, now);
            }
        } else if connection.flight.is_none() {
            // The server closed it, or spoke out of turn, while it was idle.
            if ready.readable {
                self.idle.remove(connection.route, slot);
                self.vacate(slot);
            }
            return;
        } else if ready.writable && !connection.is_sent() {
            self.write(slot, clock::now());
        }
        if ready.readable && self.connections[slot as usize].epoch == epoch {
            self.read(slot, ready.closed);
        }
        self.serve_waiting();
        self.send_at_once();
    }

    /// Reads the response in `slot`. `closed`: there is an end behind what can be read.
    fn read(&mut self, slot: u32, closed: bool) {
        let Self { shared, connections, buffer, names, .. } = self;
        let shared: &Shared = shared;
        let connection = &mut connections[slot as usize];
        let (outcome, now) = loop {
            let received = connection.read(buffer);
            let now = clock::now();
            let Some(flight) = &mut connection.flight else { return };
            match received {
                Received::Nothing => return,
                Received::Broken => break (Err(RequestError::Reset), now),
                Received::End => {
                    break (connection.response.closed().ok_or(RequestError::Reset), now);
                }
                Received::Bytes(count) => {
                    let row = &mut flight.row;
                    if row.first_byte_ns == 0 {
                        row.first_byte_ns = shared.relative(now);
                    }
                    let header = shared.config.extras.server_header.as_deref();
                    let key = flight.request.key;
                    let on_head = |lab: &LabHeaders<'_>| {
                        rules::note(row, lab);
                        if let (Some(jar), Some(cookie)) = (&shared.jar, lab.set_cookie) {
                            jar.keep(now, key, cookie);
                        }
                        if let Some(name) = lab.server() {
                            row.upstream = names.index(name, shared);
                        }
                    };
                    let bytes = &buffer[..count];
                    match connection.response.feed(bytes, flight.no_body, header, on_head) {
                        Ok(None) if count < buffer.len() && !closed => return,
                        Ok(None) => {}
                        Ok(Some(mut answer)) => {
                            // The rest of a request would be taken for another one.
                            answer.keep_alive &= !closed && connection.is_sent();
                            break (Ok(answer), now);
                        }
                        Err(Invalid) => break (Err(RequestError::Invalid), now),
                    }
                }
            }
        };
        match outcome {
            Err(RequestError::Reset) => self.broke(slot, false, now),
            outcome => self.finish(slot, outcome, now),
        }
    }
}

/// Whether there was no local port, or no descriptor.
fn is_want(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    [Errno::ADDRNOTAVAIL, Errno::AGAIN, Errno::MFILE, Errno::NFILE]
        .iter()
        .any(|want| number == Some(want.raw_os_error()))
}
