//! `balance roundrobin` (`src/lb_fwrr.c`): weighted turns by position.
//!
//! Each server has a next position, one turn of the group's total weight divided by its own after
//! the last; the smallest position not ahead of the group's is served. Servers enter from `init`,
//! the heaviest first, and those whose next position lies beyond the present turn wait in `next`.

use super::tree::Tree;
use super::{Judge, Verdict, WEIGHT_MAX, WEIGHT_SCALE, effective};
use crate::policy::peer::{Peer, PeerId};
use crate::policy::peers::Peers;

/// A group of servers.
#[derive(Debug, Default)]
pub(super) struct TurnTrees {
    current: Tree,
    /// `init` and `next`, which change places.
    waiting: [Tree; 2],
    /// Which of the two is `init`.
    init: usize,
    /// Total effective weight of this turn and of the next.
    weight: i64,
    next_weight: i64,
    position: i64,
    servers: Vec<Turn>,
    /// Set aside by a pick, the last first; kept for its memory.
    aside: Vec<PeerId>,
    started: bool,
}

/// Where a server stands.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    weight: i64,
    next: i64,
    last: i64,
    remainder: i64,
    place: Place,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Nowhere,
    Current,
    /// In one of the two trees of those who wait.
    Waiting(usize),
}

impl TurnTrees {
    /// `fwrr_get_next_server`.
    pub(super) fn pick(&mut self, peers: &Peers, judge: Judge<'_>) -> Option<PeerId> {
        self.aside.clear();
        let (mut switched, mut avoided) = (false, None);
        let chosen = loop {
            if self.weight == 0 {
                self.weight = self.next_weight;
                self.position = self.weight;
            }
            let Some(id) = self.head() else {
                if switched {
                    break avoided;
                }
                switched = true;
                self.switch();
                continue;
            };
            self.advance(id);
            self.take_out(id);
            self.position += 1;
            match peers.get(id).map_or(Verdict::Skip, |peer| judge.of(peer)) {
                Verdict::Take => break Some(id),
                Verdict::Avoid if avoided.is_some() => break Some(id),
                Verdict::Avoid => avoided = Some(id),
                Verdict::Skip => {}
            }
            self.aside.push(id);
        };
        if let Some(id) = chosen {
            self.enqueue(id);
        }
        while let Some(id) = self.aside.pop() {
            if Some(id) == chosen {
                continue;
            }
            if switched {
                // The turn has changed: its place is lost, only its weight counts.
                self.await_turn(id, self.init);
            } else {
                self.enqueue(id);
            }
        }
        chosen
    }

    /// `fwrr_get_server_from_group`.
    fn head(&mut self) -> Option<PeerId> {
        let current = self.current.first();
        if let Some(id) = current
            && self.servers[id.index()].next <= self.position
        {
            return Some(id);
        }
        let Some(id) = self.waiting[self.init].first() else { return current };
        let turn = &mut self.servers[id.index()];
        (turn.next, turn.remainder) = (0, 0);
        Some(id)
    }

    /// `fwrr_switch_trees`.
    const fn switch(&mut self) {
        self.init = 1 - self.init;
        self.weight = self.next_weight;
        self.position = self.weight;
    }

    /// `fwrr_update_position`.
    fn advance(&mut self, id: PeerId) {
        let turn = &mut self.servers[id.index()];
        if turn.weight == 0 {
            return;
        }
        if turn.next == 0 {
            turn.next = self.position;
        }
        turn.last = turn.next;
        turn.next += self.next_weight / turn.weight;
        turn.remainder += self.next_weight % turn.weight;
        if turn.remainder >= turn.weight {
            turn.remainder -= turn.weight;
            turn.next += 1;
        }
    }

    fn take_out(&mut self, id: PeerId) {
        match self.servers[id.index()].place {
            Place::Nowhere => {}
            Place::Current => self.current.remove(id),
            Place::Waiting(tree) => self.waiting[tree].remove(id),
        }
    }

    /// `fwrr_queue_srv`.
    fn enqueue(&mut self, id: PeerId) {
        let (weight, next_weight, next_tree) = (self.weight, self.next_weight, 1 - self.init);
        let turn = &mut self.servers[id.index()];
        if turn.next >= 2 * weight || turn.next >= weight + next_weight {
            turn.next -= weight;
            return self.await_turn(id, next_tree);
        }
        turn.place = Place::Current;
        let fine = (i64::from(WEIGHT_MAX) + turn.remainder - turn.weight) / i64::from(WEIGHT_SCALE);
        let key = 256 * turn.next + fine;
        self.current.insert(key.max(0) as u64, id);
    }

    /// `fwrr_queue_by_weight`.
    fn await_turn(&mut self, id: PeerId, tree: usize) {
        let turn = &mut self.servers[id.index()];
        turn.place = Place::Waiting(tree);
        let key = i64::from(WEIGHT_MAX) - turn.weight;
        self.waiting[tree].insert(key.max(0) as u64, id);
    }

    /// A server that is in no tree begins anew.
    pub(super) fn forget(&mut self, id: PeerId) {
        let turn = self.servers.get_mut(id.index());
        if let Some(turn) = turn.filter(|turn| turn.place == Place::Nowhere) {
            *turn = Turn::default();
        }
    }

    /// Brings the trees up to who is usable, and to their weights.
    pub(super) fn follow<'a>(&mut self, members: impl Iterator<Item = &'a Peer> + Clone) {
        for place in 0..self.servers.len() {
            let id = PeerId(place as u32);
            let stays = || members.clone().any(|peer| peer.id() == id && peer.is_usable());
            if self.servers[place].place != Place::Nowhere && !stays() {
                self.went_down(id);
            }
        }
        for peer in members.filter(|peer| peer.is_usable()) {
            let (id, weight) = (peer.id(), i64::from(effective(peer)));
            if self.servers.len() <= id.index() {
                self.servers.resize(id.index() + 1, Turn::default());
            }
            let turn = self.servers[id.index()];
            if turn.place == Place::Nowhere {
                self.came_up(id, weight);
            } else if turn.weight != weight {
                self.weigh(id, weight);
            }
        }
        if !std::mem::replace(&mut self.started, true) {
            self.weight = self.next_weight;
            self.position = self.weight;
        }
    }

    /// `fwrr_set_server_status_down`.
    fn went_down(&mut self, id: PeerId) {
        self.take_out(id);
        let turn = &mut self.servers[id.index()];
        self.next_weight -= turn.weight;
        turn.place = Place::Nowhere;
    }

    /// `fwrr_set_server_status_up`; at the start, `fwrr_init_server_groups`.
    fn came_up(&mut self, id: PeerId, weight: i64) {
        self.next_weight += weight;
        self.servers[id.index()].weight = weight;
        if !self.started {
            return self.await_turn(id, self.init);
        }
        let span = (self.next_weight + self.weight - self.position).max(0);
        self.servers[id.index()].next = self.position + span / weight;
        self.enqueue(id);
    }

    /// `fwrr_update_server_weight`.
    fn weigh(&mut self, id: PeerId, weight: i64) {
        self.take_out(id);
        let (init, group_weight, position) = (self.init, self.weight, self.position);
        let turn = &mut self.servers[id.index()];
        self.next_weight += weight - turn.weight;
        turn.weight = weight;
        if turn.place == Place::Waiting(init) {
            return self.await_turn(id, init);
        }
        if turn.place == Place::Waiting(1 - init) {
            turn.next += group_weight;
        }
        let step = self.next_weight / weight;
        turn.next = turn.next.min(turn.last + step);
        turn.remainder = 0;
        if turn.next < position + 2 {
            turn.next = position + step;
        }
        self.enqueue(id);
    }
}
