//! Slow start in steps (`server_recalc_eweight` and `server_warmup` in `src/server.c`): a server
//! that came back has a sixteenth of its weight more for each sixteenth of its `slowstart`, in whole
//! seconds, and its `maxconn` grows with it (`srv_dynamic_maxconn` in `src/queue.c`).

use crate::policy::balance::haproxy::WEIGHT_SCALE;
use crate::policy::peer::PeerId;
use crate::policy::peers::Peers;
use crate::units::{Nanos, Span};

/// The servers that start slowly.
#[derive(Debug, Default)]
pub(in crate::policy) struct WarmUp {
    servers: Vec<Warming>,
}

#[derive(Clone, Copy, Debug)]
struct Warming {
    peer: PeerId,
    /// Second of its return.
    since: u64,
    /// `slowstart`, in whole seconds.
    lasts: u64,
    /// When its weight is reckoned anew; never if it stays.
    tick: Nanos,
    /// When its limit is.
    second: Nanos,
}

impl Warming {
    /// At most every second, and at least every twentieth of the whole.
    fn period(&self) -> Span {
        Span::from_secs(1).max(Span::from_secs(self.lasts) / 20)
    }

    fn weighs(&self) -> bool {
        self.tick < Nanos::MAX
    }

    fn share(&self, now: Nanos) -> f64 {
        let elapsed = now.whole_seconds().saturating_sub(self.since);
        let scale = u64::from(WEIGHT_SCALE);
        let step = (scale * elapsed + self.lasts) / self.lasts;
        step.min(scale) as f64 / scale as f64
    }

    fn apply(&self, peers: &mut Peers, now: Nanos, weight_too: bool) {
        let elapsed = now.whole_seconds().saturating_sub(self.since);
        let over = elapsed >= self.lasts;
        peers.adjust(self.peer, |peer| {
            if weight_too {
                peer.set_share(if over { 1.0 } else { self.share(now) });
            }
            if peer.config.max_conns != 0 {
                let ratio = if over { 100 } else { 100 * elapsed / self.lasts };
                peer.set_limit((u64::from(peer.config.max_conns) * ratio / 100) as u32);
            }
        });
    }
}

impl WarmUp {
    /// `peer` came back at `now`. `weighs` tells whether its weight grows too, as with all dynamic
    /// algorithms.
    pub(in crate::policy) fn begin(
        &mut self,
        now: Nanos,
        peers: &mut Peers,
        id: PeerId,
        weighs: bool,
    ) {
        self.end(peers, id);
        let Some(slow_start) = peers.get(id).map(|peer| peer.config.slow_start) else { return };
        let lasts = slow_start.0.div_ceil(SECOND);
        if lasts == 0 {
            return;
        }
        let since = now.whole_seconds();
        let mut warming =
            Warming { peer: id, since, lasts, tick: Nanos::MAX, second: next_second(now) };
        warming.apply(peers, now, weighs);
        if weighs {
            warming.tick = now + warming.period();
        }
        self.servers.push(warming);
    }

    /// `peer` has its whole weight again, or is out.
    pub(in crate::policy) fn end(&mut self, peers: &mut Peers, id: PeerId) {
        let before = self.servers.len();
        self.servers.retain(|warming| warming.peer != id);
        if self.servers.len() < before {
            peers.adjust(id, |peer| {
                peer.set_share(1.0);
                peer.unlimit();
            });
        }
    }

    pub(in crate::policy) fn contains(&self, id: PeerId) -> bool {
        self.servers.iter().any(|warming| warming.peer == id)
    }

    /// When a weight or a limit changes next.
    pub(in crate::policy) fn next(&self) -> Option<Nanos> {
        self.servers.iter().map(|warming| warming.tick.min(warming.second)).min()
    }

    /// Lets time pass; those whose weight or limit has changed.
    pub(in crate::policy) fn advance(&mut self, peers: &mut Peers, now: Nanos) -> Vec<PeerId> {
        let mut changed = Vec::new();
        for warming in &mut self.servers {
            if now < warming.tick.min(warming.second) {
                continue;
            }
            let ticks = now >= warming.tick;
            if ticks {
                warming.tick = now + warming.period();
            }
            warming.second = next_second(now);
            let over = now.whole_seconds().saturating_sub(warming.since) >= warming.lasts;
            warming.apply(peers, now, ticks || (over && warming.weighs()));
            changed.push(warming.peer);
        }
        self.servers
            .retain(|warming| now.whole_seconds().saturating_sub(warming.since) < warming.lasts);
        changed
    }
}

fn next_second(now: Nanos) -> Nanos {
    Nanos((now.whole_seconds() + 1) * SECOND)
}

const SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::peer::PeerConfig;

    /// Of 4 s: a sixteenth at once, then four more with each second; no limit below 1.
    #[test]
    fn weight_and_limit_grow_in_steps() {
        let config =
            PeerConfig { max_conns: 8, slow_start: Span::from_secs(4), ..PeerConfig::new("a") };
        let mut peers = Peers::new(&[config]);
        let mut warm_up = WarmUp::default();
        warm_up.begin(Nanos(10 * SECOND), &mut peers, PeerId(0), true);
        let mut seen = Vec::new();
        for second in 10..=14 {
            warm_up.advance(&mut peers, Nanos(second * SECOND));
            let peer = peers.get(PeerId(0)).unwrap();
            seen.push((peer.share() * 16.0, peer.limit()));
        }
        assert_eq!(seen, [(1.0, 1), (5.0, 2), (9.0, 4), (13.0, 6), (16.0, 8)]);
        assert_eq!(warm_up.next(), None);
    }
}
