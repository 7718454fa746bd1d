use super::*;
use crate::policy::peer::PeerConfig;
use crate::units::{Purpose, Seed, Span};

fn fleet(size: usize) -> Peers {
    let configs: Vec<PeerConfig> = (0..size).map(|n| PeerConfig::new(n.to_string())).collect();
    Peers::new(&configs)
}

fn prequal(config: PrequalConfig, peers: &Peers) -> Prequal {
    let mut prequal = Prequal::new(config);
    prequal.peers_changed(peers);
    prequal
}

fn pick(prequal: &mut Prequal, peers: &Peers, id: u64, now: Nanos) -> PeerId {
    let ask = Ask { list: PeerList::Primaries, tried: &[], now };
    prequal.pick(peers, ask, Seed::new(9, 0).draw(Purpose::Pick, id, 1)).unwrap()
}

fn probes(prequal: &mut Prequal) -> Vec<PeerId> {
    std::iter::from_fn(|| prequal.next_probe()).collect()
}

fn chi_square(counts: &[u32], expected: f64) -> f64 {
    let off = |count: &u32| f64::from(*count) - expected;
    counts.iter().map(|count| off(count) * off(count) / expected).sum()
}

#[test]
fn without_answers_it_is_random() {
    let peers = fleet(5);
    let mut prequal = prequal(PrequalConfig::DEFAULT, &peers);
    let mut counts = [0u32; 5];
    for id in 0..10_000 {
        counts[pick(&mut prequal, &peers, id, Nanos(id)).index()] += 1;
        let asked = probes(&mut prequal);
        assert_eq!(asked.len(), 3);
        assert!((0..3).all(|i| !asked[..i].contains(&asked[i])), "without replacement: {asked:?}");
    }
    let chi = chi_square(&counts, 2_000.0);
    assert!(chi < 18.5, "99.9 % of 4 degrees of freedom: {chi} {counts:?}");
}

#[test]
fn every_peer_is_probed_as_often_as_the_others_and_fractions_hold_in_the_mean() {
    let peers = fleet(7);
    let config = PrequalConfig { probes: 1.5, ..PrequalConfig::DEFAULT };
    let mut prequal = prequal(config, &peers);
    let mut counts = [0u32; 7];
    for id in 0..7_000 {
        pick(&mut prequal, &peers, id, Nanos(id));
        probes(&mut prequal).iter().for_each(|peer| counts[peer.index()] += 1);
    }
    assert_eq!(counts.iter().sum::<u32>(), 10_500);
    let chi = chi_square(&counts, 1_500.0);
    assert!(chi < 22.5, "99.9 % of 6 degrees of freedom: {chi} {counts:?}");
}

/// The order of a sample is as random as the sample: what is asked first is forgotten first.
#[test]
fn no_peer_is_asked_earlier_than_others() {
    let peers = fleet(6);
    let mut prequal = prequal(PrequalConfig::DEFAULT, &peers);
    let mut counts = [[0u32; 6]; 3];
    for id in 0..12_000 {
        pick(&mut prequal, &peers, id, Nanos(id));
        for (turn, peer) in probes(&mut prequal).iter().enumerate() {
            counts[turn][peer.index()] += 1;
        }
    }
    for turn in &counts {
        let chi = chi_square(turn, 2_000.0);
        assert!(chi < 20.5, "99.9 % of 5 degrees of freedom: {chi} {counts:?}");
    }
}

/// Ten idle peers, a pool of two, three answers for each pick: all are chosen equally often.
#[test]
fn a_pool_with_less_room_than_probes_starves_nobody() {
    let peers = fleet(10);
    let mut prequal = prequal(PrequalConfig::DEFAULT, &peers);
    let mut counts = [0u32; 10];
    for id in 0..10_000 {
        counts[pick(&mut prequal, &peers, id, Nanos(id)).index()] += 1;
        for peer in probes(&mut prequal) {
            let load = LoadReport { rif: 0, latency: Span::from_millis(10) };
            prequal.load_reported(peer, load, Nanos(id));
        }
    }
    assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
}

#[test]
fn answers_serve_later_picks_until_they_are_used_up_or_old() {
    let peers = fleet(100);
    let config = PrequalConfig { remove: 0.0, reuse: Some(2.0), ..PrequalConfig::DEFAULT };
    let mut prequal = prequal(config, &peers);
    for (peer, millis) in [(3, 30), (4, 10), (5, 20)] {
        let load = LoadReport { rif: 0, latency: Span::from_millis(millis) };
        prequal.load_reported(PeerId(peer), load, Nanos(5));
    }
    // All report none in flight: once used, an answer has one, and its peer is hot.
    let picked: Vec<u32> = (0..5).map(|id| pick(&mut prequal, &peers, id, Nanos(6)).0).collect();
    assert_eq!(picked[..3], [4, 5, 3], "each cold one in order of latency");
    assert_eq!(picked[3], 4, "all hot with one each: by latency, and it is used up");
    assert_eq!(prequal.pool.peers(), [3], "5 was next, and two uses end it");
    pick(&mut prequal, &peers, 9, Nanos(5) + Span::from_secs(2));
    assert!(prequal.pool.peers().is_empty());
}

#[test]
fn a_peer_that_is_out_is_neither_chosen_nor_probed() {
    let mut peers = fleet(12);
    let mut prequal = prequal(PrequalConfig { remove: 0.0, ..PrequalConfig::DEFAULT }, &peers);
    for peer in 0..3 {
        let load = LoadReport { rif: 0, latency: Span::from_millis(u64::from(peer)) };
        prequal.load_reported(PeerId(peer), load, Nanos(0));
    }
    peers.change(PeerId(0), |peer| peer.drain(true));
    for id in 0..200 {
        assert_ne!(pick(&mut prequal, &peers, id, Nanos(id)), PeerId(0));
        assert!(!probes(&mut prequal).contains(&PeerId(0)));
    }
}

#[test]
fn while_nobody_comes_peers_are_probed_in_turn() {
    let peers = fleet(5);
    let mut prequal = prequal(PrequalConfig::DEFAULT, &peers);
    assert_eq!(prequal.next_timeout(), Nanos::ZERO);
    prequal.handle_timeout(&peers, Nanos(100));
    let first = probes(&mut prequal);
    assert_eq!(prequal.next_timeout(), Nanos(100) + Span::from_millis(500));
    prequal.handle_timeout(&peers, Nanos(101));
    assert!(probes(&mut prequal).is_empty(), "woken too early");
    prequal.handle_timeout(&peers, prequal.next_timeout());
    let mut both = [first, probes(&mut prequal)].concat();
    both.sort_unstable();
    both.dedup();
    assert_eq!(both.len(), 5, "six probes in turn reach all five");
}

#[test]
fn small_fleets_keep_a_quarter_of_themselves_and_the_formula_its_meaning() {
    let config = PrequalConfig::DEFAULT;
    assert_eq!([1, 3, 12, 32, 1_000].map(|n| config.pool_of(n)), [2, 2, 3, 8, 16]);
    assert_eq!([4, 8, 32].map(|n| config.reuse_of(n)), [4.0, 1.6, 1.6]);
    assert_eq!(config.reuse_of(2), f64::INFINITY, "both are always in the pool");
    assert_eq!(PrequalConfig { reuse: Some(3.5), ..config }.reuse_of(2), 3.5);
}
