//! The scripts: what a client, the servers and an operator do, one after another.

use lab::policy::PeerConfig;
use lab::units::{Draw, Purpose, Seed, Span};

use crate::engines::stage::Behaviour;

/// A server as every engine can configure it; the rest is the engine's default.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    pub(crate) weight: u32,
    pub(crate) backup: bool,
    /// 0 is no limit.
    pub(crate) max_conns: u32,
    pub(crate) max_fails: u32,
    pub(crate) fail_timeout_s: u64,
    pub(crate) refuses: bool,
}

impl Server {
    pub(crate) const fn weighing(weight: u32) -> Self {
        Self {
            weight,
            backup: false,
            max_conns: 0,
            max_fails: 1,
            fail_timeout_s: 10,
            refuses: false,
        }
    }

    /// For the core; the name is what rings hash.
    pub(crate) fn peer(&self, name: String) -> PeerConfig {
        PeerConfig {
            weight: self.weight,
            backup: self.backup,
            max_conns: self.max_conns,
            max_fails: self.max_fails,
            fail_timeout: Span::from_secs(self.fail_timeout_s),
            ..PeerConfig::new(name)
        }
    }
}

/// Servers that have nothing but a weight.
pub(crate) fn weights(weights: &[u32]) -> Vec<Server> {
    weights.iter().map(|weight| Server::weighing(*weight)).collect()
}

/// What the client and the servers do.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A request that its server keeps.
    Start { id: u64, key: Option<String> },
    /// Its end; nothing if it was refused.
    Finish { id: u64 },
    /// A request to servers that do this with it.
    Ask { id: u64, method: &'static str, behaviours: Vec<Behaviour> },
    /// Time passes, in milliseconds.
    Pause(u64),
    /// An operator takes a server out of service, or back in.
    Order { server: usize, up: bool },
}

fn draw(seed: u64) -> Draw {
    Seed::new(seed, 0).draw(Purpose::Pick, 0, 0)
}

/// Requests one after another.
pub(crate) fn sequential(count: u64) -> Vec<Step> {
    (0..count).flat_map(|id| [Step::Start { id, key: None }, Step::Finish { id }]).collect()
}

/// The same with these keys.
pub(crate) fn keyed(keys: impl IntoIterator<Item = String>) -> Vec<Step> {
    let step = |(id, key)| [Step::Start { id, key: Some(key) }, Step::Finish { id }];
    (0..).zip(keys).flat_map(step).collect()
}

/// Different keys.
pub(crate) fn keys(count: u64) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("user:{number}/{}", number * 7919 % 1000))
}

/// Random addresses.
pub(crate) fn addresses(count: u64, seed: u64) -> impl Iterator<Item = String> {
    let mut draw = draw(seed);
    (0..count).map(move |_| {
        let bits = draw.below(1 << 32) as u32;
        std::net::Ipv4Addr::from_bits(bits | 1 << 24).to_string()
    })
}

/// `count` requests that start and end at random, up to `most` at once. The number in flight
/// wanders between none and `most`, so that idle, busy and full groups are all met.
pub(crate) fn concurrent(count: u64, most: usize, seed: u64) -> Vec<Step> {
    let mut draw = draw(seed);
    let mut open: Vec<u64> = Vec::new();
    let mut script = Vec::new();
    let mut next = 0;
    let mut aim = 0;
    while next < count {
        if draw.below(40) == 0 {
            aim = draw.below(most as u64 + 1) as usize;
        }
        let more = if open.len() < aim { 2 } else { 1 };
        if open.is_empty() || (open.len() < most && draw.below(3) < more) {
            script.push(Step::Start { id: next, key: None });
            open.push(next);
            next += 1;
        } else {
            let id = open.swap_remove(draw.below(open.len() as u64) as usize);
            script.push(Step::Finish { id });
        }
    }
    script.extend(open.into_iter().map(|id| Step::Finish { id }));
    script
}

/// The same, with an operator who takes servers out and back in between.
pub(crate) fn operated(script: Vec<Step>, servers: usize, seed: u64) -> Vec<Step> {
    let mut draw = draw(seed);
    let mut up = vec![true; servers];
    let mut operated = Vec::new();
    for step in script {
        if draw.below(25) == 0 {
            let server = draw.below(servers as u64) as usize;
            up[server] = !up[server];
            operated.push(Step::Order { server, up: up[server] });
        }
        operated.push(step);
    }
    operated
}

/// The same with keys: addresses of which some come again and again.
pub(crate) fn from_addresses(mut script: Vec<Step>, seed: u64) -> Vec<Step> {
    let known: Vec<String> = addresses(200, seed).collect();
    let mut draw = draw(seed);
    for step in &mut script {
        if let Step::Start { key, .. } = step {
            *key = Some(known[draw.below(known.len() as u64) as usize].clone());
        }
    }
    script
}

/// How often, in percent, a server answers badly: one of four for some time, then another.
pub(crate) type Moods = [u64; 4];

/// `count` requests to servers of which each answers badly now and then: a server has a mood for
/// some time. Pauses let seconds pass: `seconds` altogether.
pub(crate) fn failing(count: u64, servers: usize, of: Moods, seconds: u64, seed: u64) -> Vec<Step> {
    const BURSTS: u64 = 40;
    let mut draw = draw(seed);
    let mut moods = vec![0; servers];
    let mut script = Vec::new();
    for id in 0..count {
        if id % (count / BURSTS).max(1) == 0 {
            if seconds > 0 {
                script.push(Step::Pause(seconds * 1000 / BURSTS));
            }
            moods.iter_mut().for_each(|mood| *mood = of[draw.below(4) as usize]);
        }
        let behaviours = moods.iter().map(|mood| {
            if draw.below(100) >= *mood {
                return Behaviour::Answer(200);
            }
            [
                Behaviour::Close,
                Behaviour::Answer(503),
                Behaviour::Answer(404),
                Behaviour::BrokenHead,
            ][draw.below(4) as usize]
        });
        let behaviours = behaviours.collect();
        let method = if draw.below(4) == 0 { "POST" } else { "GET" };
        script.push(Step::Ask { id, method, behaviours });
    }
    script
}
