//! Peers in order of a key, equal keys in the order of their insertion: what HAProxy keeps in an
//! elastic binary tree (`eb32`).
//!
//! A sorted vector serves as well: it never allocates once it has seen all peers, and a change of
//! key moves only what lies between the two places, which for a key that counts requests is little.

use crate::policy::peer::PeerId;

/// The ordered peers, each at most once.
#[derive(Debug, Default)]
pub(super) struct Tree {
    entries: Vec<(u64, PeerId)>,
    /// Key by peer, for those in the tree.
    keys: Vec<Option<u64>>,
}

impl Tree {
    /// In order.
    pub(super) fn iter(&self) -> impl Iterator<Item = PeerId> {
        self.entries.iter().map(|(_, id)| *id)
    }

    /// The one with the smallest key.
    pub(super) fn first(&self) -> Option<PeerId> {
        self.entries.first().map(|(_, id)| *id)
    }

    pub(super) fn contains(&self, id: PeerId) -> bool {
        self.key(id).is_some()
    }

    fn key(&self, id: PeerId) -> Option<u64> {
        self.keys.get(id.index()).copied().flatten()
    }

    /// Behind those with an equal key. One that is in the tree already is taken out before.
    pub(super) fn insert(&mut self, key: u64, id: PeerId) {
        self.remove(id);
        if self.keys.len() <= id.index() {
            self.keys.resize(id.index() + 1, None);
        }
        self.keys[id.index()] = Some(key);
        let place = self.entries.partition_point(|(other, _)| *other <= key);
        self.entries.insert(place, (key, id));
    }

    /// Does nothing if it is not in the tree.
    pub(super) fn remove(&mut self, id: PeerId) {
        let Some(key) = self.key(id) else { return };
        self.keys[id.index()] = None;
        if let Some(place) = self.place(key, id) {
            self.entries.remove(place);
        }
    }

    /// Moves one that is in the tree behind those with its new key; one whose key stays, stays.
    pub(super) fn reposition(&mut self, id: PeerId, key: u64) {
        let Some(old) = self.key(id).filter(|old| *old != key) else { return };
        let Some(from) = self.place(old, id) else { return };
        self.keys[id.index()] = Some(key);
        let to = self.entries.partition_point(|(other, _)| *other <= key);
        self.entries[from].0 = key;
        if to > from {
            self.entries[from..to].rotate_left(1);
        } else {
            self.entries[to..=from].rotate_right(1);
        }
    }

    pub(super) fn retain(&mut self, keeps: impl Fn(PeerId) -> bool) {
        let keys = &mut self.keys;
        self.entries.retain(|(_, id)| {
            let stays = keeps(*id);
            if !stays {
                keys[id.index()] = None;
            }
            stays
        });
    }

    fn place(&self, key: u64, id: PeerId) -> Option<usize> {
        let from = self.entries.partition_point(|(other, _)| *other < key);
        self.entries[from..].iter().position(|(_, other)| *other == id).map(|place| from + place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(tree: &Tree) -> Vec<u32> {
        tree.iter().map(|id| id.0).collect()
    }

    #[test]
    fn equal_keys_stay_in_the_order_of_insertion() {
        let mut tree = Tree::default();
        for (key, id) in [(5, 0), (1, 1), (5, 2), (1, 3)] {
            tree.insert(key, PeerId(id));
        }
        assert_eq!(order(&tree), [1, 3, 0, 2]);
        tree.reposition(PeerId(1), 5);
        assert_eq!(order(&tree), [3, 0, 2, 1], "behind its equals");
        tree.reposition(PeerId(0), 5);
        assert_eq!(order(&tree), [3, 0, 2, 1], "a key that stays moves nobody");
        tree.reposition(PeerId(2), 1);
        assert_eq!(order(&tree), [3, 2, 0, 1]);
        tree.remove(PeerId(3));
        tree.insert(0, PeerId(1));
        assert_eq!(order(&tree), [1, 2, 0]);
        tree.retain(|id| id != PeerId(2));
        assert!(!tree.contains(PeerId(2)));
        assert_eq!(tree.first(), Some(PeerId(1)));
    }
}
