//! What each backend and the balancer's view of it look like, once a second.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::Method;
use tokio::task::JoinHandle;

use super::engine::Sight;
use crate::host::call;
use crate::host::{clock, usage};
use crate::policy::PeerState;
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
    /// Whether its process is there.
    pub running: bool,
}

/// Takes samples until it is finished.
#[derive(Debug)]
pub struct Sampler {
    watched: Arc<Mutex<Vec<Watched>>>,
    samples: Arc<Mutex<Vec<Sample>>>,
    held: Arc<Held>,
    counted: Arc<Mutex<Vec<u32>>>,
    task: JoinHandle<()>,
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
    /// Starts sampling at every full second after `zero`; the open descriptors of the processes
    /// `counted` are counted too.
    #[must_use]
    pub(super) fn start(
        zero: Nanos,
        watched: Vec<Watched>,
        sight: Sight,
        counted: Vec<u32>,
    ) -> Self {
        let watched = Arc::new(Mutex::new(watched));
        let samples = Arc::new(Mutex::new(Vec::new()));
        let held = Arc::<Held>::default();
        let counted = Arc::new(Mutex::new(counted));
        let task = tokio::spawn(sample_every_second(
            zero,
            Arc::clone(&watched),
            (sight, Arc::clone(&counted)),
            Arc::clone(&samples),
            Arc::clone(&held),
        ));
        Self { watched, samples, held, counted, task }
    }

    /// A backend was started again elsewhere.
    pub fn moved(&self, backend: usize, control: SocketAddr, pid: u32) {
        let mut watched = self.watched.lock().expect("no sampler panics with the lock held");
        watched[backend].control = control;
        watched[backend].pid = pid;
    }

    /// Another process has come that counts, such as a worker that took over from one before it.
    pub(super) fn count_also(&self, pids: &[u32]) {
        let mut counted = self.counted.lock().expect("no sampler panics with the lock held");
        let new = pids.iter().filter(|pid| !counted.contains(pid)).copied().collect::<Vec<_>>();
        counted.extend(new);
    }

    /// Stops, and gives the samples, the most descriptors that a counted process had open, and how
    /// long all programs together waited for a core.
    #[must_use]
    pub fn finish(self) -> (Vec<Sample>, u64, Span) {
        self.task.abort();
        let samples = std::mem::take(
            &mut *self.samples.lock().expect("no sampler panics with the lock held"),
        );
        let waited = Span(self.held.waited.load(Ordering::Relaxed));
        (samples, self.held.descriptors.load(Ordering::Relaxed), waited)
    }
}

async fn sample_every_second(
    zero: Nanos,
    watched: Arc<Mutex<Vec<Watched>>>,
    (sight, counted): (Sight, Arc<Mutex<Vec<u32>>>),
    samples: Arc<Mutex<Vec<Sample>>>,
    held: Arc<Held>,
) {
    let mut cpu_before: Vec<Option<Span>> = Vec::new();
    let mut waits = Waits::default();
    for second in 0u32.. {
        let at = zero + Span::from_secs(u64::from(second) + 1);
        tokio::time::sleep(at.since(clock::now()).to_std()).await;
        let watched = watched.lock().expect("nothing panics with the lock held").clone();
        let (views, queues) = tokio::join!(sight.views(), queues(&watched));
        let counted = counted.lock().expect("nothing panics with the lock held").clone();
        let open = counted.iter().filter_map(|pid| usage::open_descriptors(*pid)).max();
        held.descriptors.fetch_max(open.unwrap_or(0), Ordering::Relaxed);
        let programs = counted.iter().copied().chain(watched.iter().map(|backend| backend.pid));
        held.waited.store(waits.add(programs, usage::waited_for_core).0, Ordering::Relaxed);
        let cpu: Vec<_> = watched.iter().map(|backend| usage::cpu_time(backend.pid)).collect();
        cpu_before.resize(cpu.len(), None);
        let taken = watched.iter().enumerate().map(|(index, backend)| Sample {
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
            queue: queues[index],
            running: cpu[index].is_some(),
            // A process that was started again has used less than the one before it.
            cpu: cpu[index]
                .zip(cpu_before[index])
                .map(|(now, before)| (now - before).as_secs_f64()),
        });
        samples.lock().expect("nothing panics with the lock held").extend(taken);
        cpu_before = cpu;
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
    fn add(&mut self, pids: impl Iterator<Item = u32>, read: impl Fn(u32) -> Option<Span>) -> Span {
        for pid in pids {
            let Some(now) = read(pid) else { continue };
            if let Some(before) = self.last.insert(pid, now) {
                self.sum += Span(now.0.saturating_sub(before.0));
            }
        }
        self.sum
    }
}

async fn queues(watched: &[Watched]) -> Vec<u32> {
    let asked: Vec<_> = watched
        .iter()
        .map(|backend| {
            let control = backend.control;
            tokio::spawn(
                async move { call::call(control, Method::GET, "/metrics", None, LIMIT).await },
            )
        })
        .collect();
    let mut queues = Vec::new();
    for answer in asked {
        let exposition = answer.await.ok().and_then(Result::ok).map(|(_, body)| body);
        queues.push(exposition.as_deref().and_then(queue_depth).unwrap_or(0));
    }
    queues
}

/// The queue's depth out of a backend's metrics in Prometheus' text format.
fn queue_depth(exposition: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(exposition).ok()?;
    text.lines().find_map(|line| line.strip_prefix("lab_backend_queue_depth "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_add_up_over_processes_that_come_and_go() {
        let mut waits = Waits::default();
        assert_eq!(waits.add([1, 2].into_iter(), |_| Some(Span(100))), Span::ZERO);
        assert_eq!(waits.add([1, 2].into_iter(), |pid| (pid == 1).then_some(Span(130))), Span(30));
        assert_eq!(waits.add([1, 3].into_iter(), |_| Some(Span(150))), Span(50));
        assert_eq!(waits.add([3].into_iter(), |_| Some(Span(151))), Span(51));
    }
}
