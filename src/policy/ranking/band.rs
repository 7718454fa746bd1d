//! Peers of one load and one weight, the highest score first.
//!
//! A heap of which each node has four children (shallower than one of two, and the children share a
//! line of the cache), with the position of each member known, so that any may leave. In a round
//! every member gets the same, so that one sum is kept for all, and a member's own number stays.

use std::hint::select_unpredictable;

use super::Seat;
use crate::policy::peer::Load;

/// Children of a node.
const BRANCHES: usize = 4;

#[derive(Clone, Debug)]
pub(super) struct Band {
    pub(super) load: Load,
    pub(super) weight: u32,
    /// What each member got in rounds since the band began.
    grown: i64,
    /// The bands to which members last went whose load fell and rose.
    next: [u32; 2],
    members: Vec<Member>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    /// Its score less `grown`.
    own: i64,
    /// Its place in the list.
    place: u32,
}

impl Member {
    /// The higher score; of equal ones the earlier in the list.
    #[inline]
    const fn leads(&self, other: &Self) -> bool {
        (self.own > other.own) | ((self.own == other.own) & (self.place < other.place))
    }
}

impl Band {
    pub(super) const fn new(load: Load, weight: u32) -> Self {
        Self { load, weight, grown: 0, next: [u32::MAX; 2], members: Vec::new() }
    }

    /// Begins anew, with the memory that it has.
    pub(super) fn begin(&mut self, load: Load, weight: u32) {
        debug_assert!(self.members.is_empty());
        (self.load, self.weight, self.grown) = (load, weight, 0);
    }

    /// It has no members left, and is of no load.
    pub(super) const fn end(&mut self) {
        self.load = Load::INFINITE;
    }

    /// Whether it is of this load and weight.
    #[inline]
    pub(super) fn is_of(&self, load: Load, weight: u32) -> bool {
        self.load == load && self.weight == weight
    }

    /// Where the last member went whose load became less or more than that of the band, as `load`
    /// is.
    #[inline]
    pub(super) fn next(&self, load: Load) -> u32 {
        self.next[usize::from(load > self.load)]
    }

    pub(super) fn set_next(&mut self, load: Load, band: u32) {
        self.next[usize::from(load > self.load)] = band;
    }

    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.members.len()
    }

    /// Its first member and that one's score.
    #[inline]
    pub(super) fn first(&self) -> Option<(u32, i64)> {
        self.members.first().map(|member| (member.place, member.own + self.grown))
    }

    /// The score of the member at a position.
    pub(super) fn score(&self, at: u32) -> i64 {
        self.members[at as usize].own + self.grown
    }

    /// A round: every score grows by the weight.
    #[inline]
    pub(super) fn grow(&mut self) {
        self.grown += i64::from(self.weight);
    }

    /// The first member pays.
    pub(super) fn pay(&mut self, amount: i64, seats: &mut [Seat]) {
        if let Some(first) = self.members.first_mut() {
            first.own -= amount;
            let first = *first;
            self.sink(0, first, seats);
        }
    }

    pub(super) fn insert(&mut self, place: u32, score: i64, seats: &mut [Seat]) {
        let member = Member { own: score - self.grown, place };
        self.members.push(member);
        self.rise(self.members.len() - 1, member, seats);
    }

    /// Takes out the member at a position; its score.
    pub(super) fn remove(&mut self, at: u32, seats: &mut [Seat]) -> i64 {
        let at = at as usize;
        let score = self.members[at].own + self.grown;
        let last = self.members.pop();
        if let Some(last) = last.filter(|_| at < self.members.len()) {
            self.sink(at, last, seats);
        }
        score
    }

    /// Puts `member` at `at` or nearer to the front.
    fn rise(&mut self, mut at: usize, member: Member, seats: &mut [Seat]) {
        while at > 0 {
            let parent = (at - 1) / BRANCHES;
            if !member.leads(&self.members[parent]) {
                break;
            }
            self.put(at, self.members[parent], seats);
            at = parent;
        }
        self.put(at, member, seats);
    }

    /// Puts `member` where it belongs, as `at` is empty: lets the hole sink to the bottom and `member`
    /// rise from there. That way is short, since it nearly always comes from the bottom; and the way
    /// down is without a guess of the processor that could be wrong.
    fn sink(&mut self, at: usize, member: Member, seats: &mut [Seat]) {
        let mut hole = at;
        loop {
            let begin = hole * BRANCHES + 1;
            let first = match self.members.get(begin..) {
                Some([a, b, c, d, ..]) => {
                    let (left, right) = (usize::from(b.leads(a)), usize::from(d.leads(c)));
                    let on_left = select_unpredictable(left == 1, b, a);
                    let on_right = select_unpredictable(right == 1, d, c);
                    select_unpredictable(on_right.leads(on_left), 2 + right, left)
                }
                Some(children @ [_, ..]) => {
                    let leads = |best: usize, child: usize| {
                        if children[child].leads(&children[best]) { child } else { best }
                    };
                    (1..children.len()).fold(0, leads)
                }
                _ => break,
            };
            self.put(hole, self.members[begin + first], seats);
            hole = begin + first;
        }
        self.rise(hole, member, seats);
    }

    #[inline]
    fn put(&mut self, at: usize, member: Member, seats: &mut [Seat]) {
        self.members[at] = member;
        seats[member.place as usize].at = at as u32;
    }
}
