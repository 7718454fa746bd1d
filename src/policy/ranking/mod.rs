//! The contest of smooth weighted round robin among many peers, without a look at each.
//!
//! A scan adds to the score of everyone who takes part and finds the highest. Here those of one
//! load and one weight, who all get the same in a round, form a [`Band`], which keeps what they got
//! as one sum: a round costs as much as there are bands in it, and the logarithm of their members.
//! Peers whose effective weight is cut are few and looked at one by one. The picks and the scores
//! are those of the scan to the last bit, which a test holds them to.
//!
//! While peers start slowly every share changes all the time; then the scan remains.

mod band;

use std::collections::BTreeMap;

use self::band::Band;
use super::peer::Load;
use super::roster::Row;

/// Who takes part in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Order {
    /// Those of the least load, if there is more than one.
    ByLoad,
    /// All that may be picked.
    InTurn,
}

/// A list of peers in the order of their scores.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Ranking {
    order: Order,
    /// The bands that have members, by load and weight.
    levels: BTreeMap<(Load, u32), u32>,
    bands: Vec<Band>,
    /// The bands of the least load, as long as `levels` stays as it is.
    front: Vec<u32>,
    front_is_known: bool,
    /// Bands without members.
    unused: Vec<u32>,
    /// Where each peer of the list is.
    seats: Vec<Seat>,
    /// Places of the peers that may be picked but whose effective weight is cut. Each pick looks at
    /// them all; one that is tied is soon whole again.
    cut: Vec<u32>,
    /// It was picked by its load, which is about to change: it has left its band already.
    picked: Option<u32>,
}

/// Where a peer is.
#[derive(Clone, Copy, Debug)]
struct Seat {
    /// A band, [`OUT`], or [`CUT`].
    band: u32,
    /// Its position there, or the band that it left last.
    at: u32,
}

/// The band of a peer that may not be picked.
const OUT: u32 = u32::MAX;
/// The band of a peer whose effective weight is cut.
const CUT: u32 = u32::MAX - 1;

/// The best so far of a round.
struct Leader {
    place: u32,
    score: i64,
}

/// What a round hands out, and to how many.
#[derive(Default)]
struct Round {
    leader: Option<Leader>,
    total: i64,
    members: usize,
}

impl Round {
    /// `members` with `handed_out` between them, of whom `place` is the best.
    #[inline]
    fn enter(&mut self, place: u32, score: i64, handed_out: i64, members: usize) {
        self.total += handed_out;
        self.members += members;
        let leads = self.leader.as_ref().is_none_or(|leader| {
            score > leader.score || (score == leader.score && place < leader.place)
        });
        if leads {
            self.leader = Some(Leader { place, score });
        }
    }
}

impl Ranking {
    pub(in crate::policy) fn new(order: Order, rows: &[Row]) -> Self {
        let mut ranking = Self {
            order,
            levels: BTreeMap::new(),
            bands: Vec::new(),
            front: Vec::new(),
            front_is_known: false,
            unused: Vec::new(),
            seats: vec![Seat { band: OUT, at: OUT }; rows.len()],
            cut: Vec::new(),
            picked: None,
        };
        (0..rows.len() as u32).for_each(|place| ranking.join(rows, place));
        ranking
    }

    /// The score of the peer at `place`, whose row is `row`.
    pub(in crate::policy) fn score(&self, row: &Row, place: u32) -> i64 {
        let Seat { band, at } = self.seats[place as usize];
        self.bands.get(band as usize).map_or(row.score, |band| band.score(at))
    }

    /// Writes every score into its row.
    pub(in crate::policy) fn write_back(&self, rows: &mut [Row]) {
        for (place, row) in (0..).zip(rows) {
            row.score = self.score(row, place);
        }
    }

    /// The place of one that leads, likely the next to be picked; `None` where it must be looked for.
    pub(in crate::policy) fn leader(&self) -> Option<u32> {
        let front = self.front.first().filter(|_| self.front_is_known)?;
        self.bands[*front as usize].first().map(|(place, _)| place)
    }

    /// The place of the peer whose turn it is, without those `tried`.
    pub(in crate::policy) fn pick(&mut self, rows: &mut [Row], tried: &[u32]) -> Option<u32> {
        if let Some(place) = self.picked.take() {
            self.join(rows, place);
        }
        tried.iter().for_each(|place| self.leave(rows, *place));
        let place = self.contest(rows);
        tried.iter().for_each(|place| self.join(rows, *place));
        place
    }

    fn contest(&mut self, rows: &mut [Row]) -> Option<u32> {
        let level = self.least(rows)?;
        let mut round = Round::default();
        for band in self.front_at(level) {
            let band = &self.bands[*band as usize];
            let Some((place, score)) = band.first() else { continue };
            let weight = i64::from(band.weight);
            round.enter(place, score + weight, weight * band.len() as i64, band.len());
        }
        for place in &self.cut {
            let row = &rows[*place as usize];
            if self.level(row.load) == level {
                let weight = i64::from(row.effective_weight);
                round.enter(*place, row.score + weight, weight, 1);
            }
        }
        let place = round.leader?.place;
        // One that is alone by its load has no round: nothing moves.
        let total = match self.order {
            Order::ByLoad if round.members == 1 => None,
            _ => Some(round.total),
        };
        if total.is_some() {
            self.grow(level);
        }
        let is_whole = self.seats[place as usize].band < CUT;
        if self.order == Order::ByLoad && is_whole {
            self.leave(rows, place);
            self.picked = Some(place);
        }
        if let Some(total) = total {
            self.pay(rows, place, total);
            self.recover(rows, level);
        }
        Some(place)
    }

    /// The least load of those that may be picked.
    fn least(&mut self, rows: &[Row]) -> Option<Load> {
        if !self.front_is_known {
            self.find_front();
        }
        let first = self.front.first().map(|band| self.bands[*band as usize].load);
        let cut = self.cut.iter().map(|place| self.level(rows[*place as usize].load));
        first.into_iter().chain(cut).min()
    }

    fn find_front(&mut self) {
        self.front.clear();
        if let Some((&(load, _), _)) = self.levels.first_key_value() {
            let bands = self.levels.range((load, 0)..=(load, u32::MAX));
            self.front.extend(bands.map(|(_, band)| *band));
        }
        self.front_is_known = true;
    }

    /// The bands in front, if that is their load: peers whose weight is cut may have a lesser one.
    fn front_at(&self, level: Load) -> &[u32] {
        match self.front.first() {
            Some(band) if self.bands[*band as usize].load == level => &self.front,
            _ => &[],
        }
    }

    /// Every member of a band that took part gets the own weight.
    fn grow(&mut self, level: Load) {
        for place in 0..self.front_at(level).len() {
            self.bands[self.front[place] as usize].grow();
        }
    }

    /// The winner pays the total; if it has left its band already, without a way down in there.
    fn pay(&mut self, rows: &mut [Row], winner: u32, total: i64) {
        let Self { bands, seats, .. } = self;
        match bands.get_mut(seats[winner as usize].band as usize) {
            Some(band) => band.pay(total, seats),
            None => rows[winner as usize].score -= total,
        }
    }

    /// Those whose weight is cut get what is left of it if they took part, and it recovers by one after
    /// it was used.
    fn recover(&mut self, rows: &mut [Row], level: Load) {
        // From behind, since one that is whole again leaves and the last takes its position.
        for position in (0..self.cut.len()).rev() {
            let place = self.cut[position];
            let row = &mut rows[place as usize];
            if self.level(row.load) == level {
                row.score += i64::from(row.effective_weight);
                row.recover(true);
                if row.is_whole() {
                    self.leave(rows, place);
                    self.join(rows, place);
                }
            }
        }
    }

    /// The load of a peer changed: its row has the new one.
    #[inline(never)]
    pub(in crate::policy) fn moved(&mut self, rows: &mut [Row], place: u32) {
        let level = self.level(rows[place as usize].load);
        let stays = match self.seats[place as usize].band {
            OUT => level == Load::INFINITE,
            CUT => level != Load::INFINITE,
            band => level == self.bands[band as usize].load,
        };
        if !stays {
            self.leave(rows, place);
            self.join(rows, place);
        }
    }

    /// Where peers of this load are.
    #[inline]
    fn level(&self, load: Load) -> Load {
        if self.order == Order::ByLoad || load == Load::INFINITE { load } else { Load::default() }
    }

    /// A peer takes part from now on, if it may be picked and does not already.
    pub(in crate::policy) fn join(&mut self, rows: &[Row], place: u32) {
        let Some(row) = rows.get(place as usize) else { return };
        let level = self.level(row.load);
        if self.seats[place as usize].band != OUT || level == Load::INFINITE {
            return;
        }
        if row.is_whole() {
            let band = self.band(level, row.weight, self.seats[place as usize].at);
            self.seats[place as usize].band = band;
            self.bands[band as usize].insert(place, row.score, &mut self.seats);
        } else {
            self.seats[place as usize] = Seat { band: CUT, at: self.cut.len() as u32 };
            self.cut.push(place);
        }
    }

    /// A peer takes part no longer, if it did; its row has its score.
    pub(in crate::policy) fn leave(&mut self, rows: &mut [Row], place: u32) {
        let Some(Seat { band: number, at }) = self.seats.get(place as usize).copied() else {
            return;
        };
        match number {
            OUT => return,
            CUT => {
                self.cut.swap_remove(at as usize);
                if let Some(moved) = self.cut.get(at as usize) {
                    self.seats[*moved as usize].at = at;
                }
            }
            _ => {
                let band = &mut self.bands[number as usize];
                rows[place as usize].score = band.remove(at, &mut self.seats);
                if band.len() == 0 {
                    self.levels.remove(&(band.load, band.weight));
                    self.front_is_known = false;
                    band.end();
                    self.unused.push(number);
                }
            }
        }
        self.seats[place as usize] = Seat { band: OUT, at: number };
    }

    /// The band of this load and weight, a new one if there is none. One who comes from band `from`
    /// mostly goes where the last one from there went.
    fn band(&mut self, load: Load, weight: u32, from: u32) -> u32 {
        let next = self.bands.get(from as usize).map(|band| band.next(load));
        let next = next.filter(|next| {
            self.bands.get(*next as usize).is_some_and(|band| band.is_of(load, weight))
        });
        next.unwrap_or_else(|| {
            let number = self.find_band(load, weight);
            if let Some(band) = self.bands.get_mut(from as usize) {
                band.set_next(load, number);
            }
            number
        })
    }

    fn find_band(&mut self, load: Load, weight: u32) -> u32 {
        let Self { levels, bands, unused, front_is_known, .. } = self;
        *levels.entry((load, weight)).or_insert_with(|| {
            *front_is_known = false;
            if let Some(number) = unused.pop() {
                bands[number as usize].begin(load, weight);
                return number;
            }
            bands.push(Band::new(load, weight));
            bands.len() as u32 - 1
        })
    }
}

#[cfg(test)]
mod tests;
