//! What each backend and the balancer's view of it look like, once a second.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::Method;
use tokio::task::JoinHandle;

use super::engine::Sight;
use super::sightings::Sightings;
use crate::host::call;
use crate::host::{clock, usage};
use crate::monitor::{Board, Observed};
use crate::policy::PeerState;
use crate::record::EventRow;
use crate::units::{Nanos, Span};

/// A question that is not answered by then is not answered for this second.
const LIMIT: Duration = Duration::from_millis(300);

/// A backend under observation.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Its name.
    pub name: String,
    /// Where it takes orders.
    pub control: SocketAddr,
    /// Its process.
    pub pid: u32,
    /// Its CPU is limited on purpose: that it waits for a core says nothing of the host.
    pub limited: bool,
    /// It gets requests as far as an autoscaler is concerned: not starting, and not on its way out.
    pub serves: bool,
}

/// One backend at the end of one second.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// The second.
    pub second: u32,
    /// Index of the backend.
    pub backend: usize,
    /// Requests in flight there, as all balancer instances together count them.
    pub in_flight: u32,
    /// Its state in the first instance's eyes; `None` if that did not answer.
    pub state: Option<PeerState>,
    /// Requests waiting for one of its workers.
    pub queue: u32,
    /// CPU share of its process in this second (1 is one core); `None` if it was not there for
    /// all of it.
    pub cpu: Option<f64>,
    /// Share of its workers' time in this second that they were busy; `None` likewise.
    pub utilization: Option<f64>,
    /// Whether its process is there and it serves, as the model counts instances.
    pub ready: bool,
}

impl Sample {
    fn shown(&self) -> Observed {
        Observed {
            second: self.second,
            backend: self.backend,
            in_flight: self.in_flight,
            queue: self.queue,
            utilization: self.utilization,
            up: self.state == Some(PeerState::Up),
            ready: self.ready,
        }
    }
}

/// Takes samples until it is finished.
#[derive(Debug)]
pub struct Sampler {
    watched: Arc<Mutex<Vec<Watched>>>,
    taken: Arc<Mutex<Taken>>,
    held: Arc<Held>,
    counted: Arc<Mutex<Vec<u32>>>,
    task: JoinHandle<()>,
}

/// What was seen in a round.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Per second and backend.
    pub(super) samples: Vec<Sample>,
    /// Changes of peers, in the eyes of an engine that writes no events.
    pub(super) events: Vec<EventRow>,
    /// Most descriptors that a counted process had open.
    pub(super) descriptors: u64,
    /// How long all programs together waited for a core.
    pub(super) waited: Span,
}

/// The backends under observation; copies are the same list.
#[derive(Clone, Debug)]
pub(super) struct WatchList(Arc<Mutex<Vec<Watched>>>);

impl WatchList {
    /// A backend was started, perhaps again elsewhere.
    pub(super) fn moved(&self, backend: usize, control: SocketAddr, pid: u32) {
        let mut watched = self.0.lock().expect("no sampler panics with the lock held");
        watched[backend].control = control;
        watched[backend].pid = pid;
    }

    /// An autoscaler's instance serves from now on, or does not any more.
    pub(super) fn serves(&self, backend: usize, serves: bool) {
        let mut watched = self.0.lock().expect("no sampler panics with the lock held");
        watched[backend].serves = serves;
    }

    /// A backend was stopped: there is no process 0.
    pub(super) fn left(&self, backend: usize) {
        let mut watched = self.0.lock().expect("no sampler panics with the lock held");
        watched[backend].pid = 0;
    }
}

/// What the processes of a round held, or were held by.
#[derive(Debug, Default)]
struct Held {
    /// Most descriptors open in a counted process.
    descriptors: AtomicU64,
    /// Time that programs were ready to run and had no core, in nanoseconds.
    waited: AtomicU64,
}

impl Sampler {
    /// Starts sampling round `round` at every full second after `zero`; the open descriptors of the processes
    /// `counted` are counted too. What is seen of the backends goes to `board` as well.
    #[must_use]
    pub(super) fn start(
        (zero, round): (Nanos, u32),
        watched: Vec<Watched>,
        sight: Sight,
        counted: Vec<u32>,
        board: Option<Board>,
    ) -> Self {
        let watched = Arc::new(Mutex::new(watched));
        let taken = Arc::<Mutex<Taken>>::default();
        let sightings = sight.without_events().map(|engine| Sightings::new(engine, round));
        let held = Arc::<Held>::default();
        let counted = Arc::new(Mutex::new(counted));
        let task = tokio::spawn(sample_every_second(
            zero,
            Arc::clone(&watched),
            (sight, sightings, Arc::clone(&counted)),
            (Arc::clone(&taken), board),
            Arc::clone(&held),
        ));
        Self { watched, taken, held, counted, task }
    }

    /// The list of those that it watches.
    pub(super) fn watched(&self) -> WatchList {
        WatchList(Arc::clone(&self.watched))
    }

    /// A backend's CPU is limited on purpose from now on, or is not any more.
    pub(super) fn limited(&self, backend: usize, limited: bool) {
        let mut watched = self.watched.lock().expect("no sampler panics with the lock held");
        watched[backend].limited = limited;
    }

    /// Another process has come that counts, such as a worker that took over from one before it.
    pub(super) fn count_also(&self, pids: &[u32]) {
        let mut counted = self.counted.lock().expect("no sampler panics with the lock held");
        let new = pids.iter().filter(|pid| !counted.contains(pid)).copied().collect::<Vec<_>>();
        counted.extend(new);
    }

    /// Stops, and gives what was seen.
    #[must_use]
    pub(super) fn finish(self) -> Taken {
        self.task.abort();
        let taken =
            std::mem::take(&mut *self.taken.lock().expect("no sampler panics with the lock held"));
        let waited = Span(self.held.waited.load(Ordering::Relaxed));
        Taken { descriptors: self.held.descriptors.load(Ordering::Relaxed), waited, ..taken }
    }
}

async fn sample_every_second(
    zero: Nanos,
    watched: Arc<Mutex<Vec<Watched>>>,
    (sight, mut sightings, counted): (Sight, Option<Sightings>, Arc<Mutex<Vec<u32>>>),
    (taken, board): (Arc<Mutex<Taken>>, Option<Board>),
    held: Arc<Held>,
) {
    let mut cpu_before: Vec<Option<Span>> = Vec::new();
    let mut work_before: Vec<Option<Work>> = Vec::new();
    let mut waits = Waits::default();
    let mut limited_before: Vec<bool> = Vec::new();
    for second in 0u32.. {
        let at = zero + Span::from_secs(u64::from(second) + 1);
        tokio::time::sleep(at.since(clock::now()).to_std()).await;
        let watched = watched.lock().expect("nothing panics with the lock held").clone();
        let (views, work) = tokio::join!(sight.views(), work_of(&watched));
        let seen_at = Nanos(clock::now().since(zero).0);
        let events =
            sightings.as_mut().map_or_else(Vec::new, |sightings| sightings.look(seen_at, &views));
        let counted = counted.lock().expect("nothing panics with the lock held").clone();
        let open = counted.iter().filter_map(|pid| usage::open_descriptors(*pid)).max();
        held.descriptors.fetch_max(open.unwrap_or(0), Ordering::Relaxed);
        limited_before.resize(watched.len(), false);
        let free =
            |(backend, before): (&Watched, &bool)| (backend.pid, !backend.limited && !before);
        let backends = watched.iter().zip(&limited_before).map(free);
        let programs = counted.iter().map(|pid| (*pid, true)).chain(backends);
        held.waited.store(waits.add(programs, usage::waited_for_core).0, Ordering::Relaxed);
        let cpu: Vec<_> = watched.iter().map(|backend| usage::cpu_time(backend.pid)).collect();
        cpu_before.resize(cpu.len(), None);
        work_before.resize(work.len(), None);
        let samples: Vec<Sample> = watched
            .iter()
            .enumerate()
            .map(|(index, backend)| Sample {
                second,
                backend: index,
                in_flight: views
                    .iter()
                    .flatten()
                    .filter(|peer| peer.name == backend.name)
                    .map(|peer| peer.in_flight)
                    .sum(),
                state: views
                    .first()
                    .and_then(|peers| peers.iter().find(|peer| peer.name == backend.name))
                    .map(|peer| peer.state),
                queue: work[index].map_or(0, |work| work.queue),
                utilization: work[index]
                    .zip(work_before[index])
                    .and_then(|(now, was)| now.since(was)),
                ready: cpu[index].is_some() && backend.serves,
                // A process that was started again has used less than the one before it.
                cpu: cpu[index]
                    .zip(cpu_before[index])
                    .map(|(now, before)| (now - before).as_secs_f64()),
            })
            .collect();
        if let Some(board) = &board {
            samples.iter().for_each(|sample| board.observed(&sample.shown()));
            events.iter().for_each(|event| board.event(event));
        }
        {
            let mut taken = taken.lock().expect("nothing panics with the lock held");
            taken.samples.extend(samples);
            taken.events.extend(events);
        }
        limited_before = watched.iter().map(|backend| backend.limited).collect();
        cpu_before = cpu;
        work_before = work;
    }
}

/// Sums the time that processes waited for a core, also those that ended.
#[derive(Debug, Default)]
struct Waits {
    /// The last reading of each process; none belongs to the time before the first look at it.
    last: BTreeMap<u32, Span>,
    sum: Span,
}

impl Waits {
    /// Each process comes with whether its wait since the last look counts.
    fn add(
        &mut self,
        pids: impl Iterator<Item = (u32, bool)>,
        read: impl Fn(u32) -> Option<Span>,
    ) -> Span {
        for (pid, counts) in pids {
            let Some(now) = read(pid) else { continue };
            if let Some(before) = self.last.insert(pid, now)
                && counts
            {
                self.sum += Span(now.0.saturating_sub(before.0));
            }
        }
        self.sum
    }
}

/// What a backend says of its work.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Work {
    queue: u32,
    /// Since its start, of all its workers together; `None` if it does not say so.
    busy_seconds: Option<f64>,
    workers: f64,
}

impl Work {
    /// Out of a backend's metrics in Prometheus' text format.
    fn read(exposition: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(exposition).ok()?;
        let value = |name: &str| -> Option<f64> {
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?.trim().parse().ok()
        };
        Some(Self {
            queue: value("lab_backend_queue_depth")? as u32,
            busy_seconds: value("lab_backend_busy_seconds_total"),
            workers: value("lab_backend_workers")?,
        })
    }

    /// Share of the workers' time that they were busy in the second since `before`; `None` if it was
    /// started anew.
    fn since(self, before: Self) -> Option<f64> {
        let busy = self.busy_seconds? - before.busy_seconds?;
        (busy >= 0.0 && self.workers > 0.0).then(|| busy / self.workers)
    }
}

async fn work_of(watched: &[Watched]) -> Vec<Option<Work>> {
    let asked: Vec<_> = watched
        .iter()
        .map(|backend| {
            let control = backend.control;
            tokio::spawn(
                async move { call::call(control, Method::GET, "/metrics", None, LIMIT).await },
            )
        })
        .collect();
    let mut work = Vec::new();
    for answer in asked {
        let exposition = answer.await.ok().and_then(Result::ok).map(|(_, body)| body);
        work.push(exposition.as_deref().and_then(Work::read));
    }
    work
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utilization_is_the_growth_of_busy_time_over_the_workers() {
        let read = |busy: f64| {
            let text = format!(
                "# TYPE lab_backend_queue_depth gauge\nlab_backend_queue_depth 3\n\
                 lab_backend_workers 4\nlab_backend_busy_seconds_total {busy}\n"
            );
            Work::read(text.as_bytes()).expect("a page")
        };
        assert_eq!(read(1.0).queue, 3);
        assert_eq!(read(12.0).since(read(10.0)), Some(0.5));
        assert_eq!(read(0.1).since(read(10.0)), None, "it was started anew");
        assert_eq!(Work::read(b"lab_backend_queue_depth 3\n"), None);
    }

    #[test]
    fn waits_add_up_over_processes_that_come_and_go() {
        let mut waits = Waits::default();
        let counted = |pids: [u32; 2]| pids.into_iter().map(|pid| (pid, true));
        assert_eq!(waits.add(counted([1, 2]), |_| Some(Span(100))), Span::ZERO);
        assert_eq!(waits.add(counted([1, 2]), |pid| (pid == 1).then_some(Span(130))), Span(30));
        assert_eq!(waits.add(counted([1, 3]), |_| Some(Span(150))), Span(50));
        assert_eq!(waits.add([(3, true)].into_iter(), |_| Some(Span(151))), Span(51));
    }

    #[test]
    fn the_waits_of_a_process_whose_cpu_is_limited_do_not_count() {
        let mut waits = Waits::default();
        waits.add([(1, true)].into_iter(), |_| Some(Span(100)));
        assert_eq!(waits.add([(1, false)].into_iter(), |_| Some(Span(900))), Span::ZERO);
        assert_eq!(waits.add([(1, true)].into_iter(), |_| Some(Span(905))), Span(5));
    }
}
