//! How many replicas follow from what was measured (`GetResourceReplicas`,
//! `calcPlainMetricReplicas`, `GetObjectMetricReplicas`, `GetObjectPerPodMetricReplicas` and those of
//! external metrics in `pkg/controller/podautoscaler/replica_calculator.go`).

/// A pod that counts in some way. Those that are being deleted or have failed do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy::scale) struct Pod {
    pub(in crate::policy::scale) standing: Standing,
    /// What it is allotted, in thousandths; for a utilization alone.
    pub(in crate::policy::scale) request: i64,
}

/// How a pod counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy::scale) enum Standing {
    /// With this measured value, in thousandths.
    Measured(i64),
    /// It is pending, or not measured for long enough since it is ready.
    Unready,
    /// It runs, and nothing was measured.
    Missing,
}

/// What is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy::scale) enum Goal {
    /// Measured by requested, in percent.
    Utilization(i64),
    /// The mean, in thousandths.
    Average(i64),
}

/// Relative distance from the goal at which nothing changes, below and above it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::policy::scale) struct Tolerances {
    pub(in crate::policy::scale) down: f64,
    pub(in crate::policy::scale) up: f64,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::policy::scale) struct Proposal {
    pub(in crate::policy::scale) replicas: i64,
    /// Of the pods that were measured: percent, or thousandths.
    pub(in crate::policy::scale) usage: i64,
    /// Pods that were measured.
    pub(in crate::policy::scale) measured: u32,
    /// Pods that stood in for something assumed.
    pub(in crate::policy::scale) assumed: u32,
}

impl Tolerances {
    fn allow(self, ratio: f64) -> bool {
        1.0 - self.down <= ratio && ratio <= 1.0 + self.up
    }
}

/// Measured value and request.
type Measured = (i64, i64);

impl Goal {
    /// The mean, and what it is of the goal. As in Kubernetes, in whole numbers.
    fn ratio(self, pods: &[Measured]) -> Option<(i64, f64)> {
        let usage: i64 = pods.iter().map(|(usage, _)| usage).sum();
        let (mean, goal) = match self {
            Self::Utilization(percent) => {
                let requests: i64 = pods.iter().map(|(_, request)| request).sum();
                (usage.saturating_mul(100).checked_div(requests)?, percent)
            }
            Self::Average(goal) => (usage.checked_div(pods.len() as i64)?, goal),
        };
        Some((mean, mean as f64 / goal.max(1) as f64))
    }

    /// What a pod is assumed to use of which nothing is known, when the others use too little.
    fn assumed(self, request: i64) -> i64 {
        match self {
            Self::Utilization(percent) => request * percent.max(100) / 100,
            Self::Average(goal) => goal,
        }
    }
}

/// How what was measured of the whole is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy::scale) enum Whole {
    /// Itself (`Value`), which pods that are ready are taken to bring about.
    Total { ready: i64 },
    /// Divided by the pods (`AverageValue`).
    Each,
}

impl Whole {
    /// How many of `current` replicas there should be, by what was measured and what is to be kept.
    pub(in crate::policy::scale) fn replicas(
        self,
        (usage, goal): (i64, i64),
        tolerances: Tolerances,
        current: i64,
    ) -> i64 {
        let (usage, goal) = (usage as f64, goal as f64);
        let (ratio, replicas) = match self {
            Self::Total { ready } => (usage / goal, usage / goal * ready as f64),
            Self::Each => (usage / (goal * current as f64), usage / goal),
        };
        if tolerances.allow(ratio) { current } else { ceil(replicas) }
    }
}

/// How many of `current` replicas there should be; `None` if no pod was measured.
pub(in crate::policy::scale) fn replicas(
    pods: &[Pod],
    goal: Goal,
    tolerances: Tolerances,
    current: i64,
) -> Option<Proposal> {
    let mut counted: Vec<Measured> = Vec::with_capacity(pods.len());
    counted.extend(pods.iter().filter_map(|pod| match pod.standing {
        Standing::Measured(usage) => Some((usage, pod.request)),
        Standing::Unready | Standing::Missing => None,
    }));
    let (usage, ratio) = goal.ratio(&counted)?;
    let measured = counted.len() as u32;
    let has = |standing| pods.iter().any(|pod| pod.standing == standing);
    let grows_beside_unready = has(Standing::Unready) && ratio > 1.0;
    let keep = Proposal { replicas: current, usage, measured, assumed: 0 };
    if !grows_beside_unready && !has(Standing::Missing) {
        if tolerances.allow(ratio) {
            return Some(keep);
        }
        return Some(Proposal { replicas: ceil(ratio * f64::from(measured)), ..keep });
    }
    for pod in pods {
        match pod.standing {
            Standing::Missing if ratio < 1.0 => {
                counted.push((goal.assumed(pod.request), pod.request));
            }
            Standing::Missing if ratio > 1.0 => counted.push((0, pod.request)),
            Standing::Unready if grows_beside_unready => counted.push((0, pod.request)),
            _ => {}
        }
    }
    let (_, filled) = goal.ratio(&counted)?;
    let keep = Proposal { assumed: counted.len() as u32 - measured, ..keep };
    let turned = (ratio < 1.0 && filled > 1.0) || (ratio > 1.0 && filled < 1.0);
    if tolerances.allow(filled) || turned {
        return Some(keep);
    }
    let replicas = ceil(filled * counted.len() as f64);
    let against = (filled < 1.0 && replicas > current) || (filled > 1.0 && replicas < current);
    Some(if against { keep } else { Proposal { replicas, ..keep } })
}

fn ceil(value: f64) -> i64 {
    libm::ceil(value) as i64
}
