//! `lab autoscale`: the autoscaler beside a balancer that runs.

mod containers;
mod dry_run;
mod recorded;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use tokio::task::LocalSet;

use super::exit::Exit;
use super::overrides::Overrides;
use super::terminal::{fail, print};
use crate::autoscaler::{
    Around, Control, ControlConfig, Fleet, Happening, Log, Measuring, MetricsServer, ProxyAdmin,
};
use crate::host::{child, clock, date};
use crate::live::provider::docker::{DockerFleet, SwarmFleet};
use crate::live::provider::group::{ProcessGroup, Processes};
use crate::policy::scale::{Change, Scaler};
use crate::scenario::{self, AutoscalerFacts, BalancerFile, MetricSource};
use crate::units::{Nanos, Seed, Span};

const EXAMPLES: &str = "\
Examples:
  Scale the group of site.toml, as processes, behind a proxy that runs
    lab proxy --config site.toml --admin 127.0.0.1:9901 &
    lab autoscale site.toml --admin 127.0.0.1:9901
  By what Prometheus knows, with a query of one's own
    lab autoscale site.toml --admin 127.0.0.1:9901 --prometheus http://127.0.0.1:9090 \\
        --query 'rate(process_cpu_seconds_total{job=\"api\"}[1m])'
  Say what would be done about the instances that Prometheus knows, and touch nothing
    lab autoscale site.toml --dry-run --prometheus http://127.0.0.1:9090
  Say what would have been done about a load that was recorded, by this rule and by an HPA
    lab autoscale site.toml --dry-run --series monday.csv --also hpa.yaml

Exit codes: 0 ended in order, as after Ctrl-C; 1 it cannot run; 2 wrong usage or a wrong file.
After Ctrl-C the instances that it started are drained and stopped; a second one ends it at once.";

/// Scale a group of backends while a balancer runs
///
/// FILE has a section [autoscaler], and the [[backend]] group that it names: the file that `lab proxy`
/// runs by, or a scenario, whose traffic does not matter here. Each decision is a line on stdout, with
/// its reason.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct AutoscaleArgs {
    /// Scenario, or file of a proxy, with an [autoscaler] section
    #[arg(value_name = "FILE")]
    scenario: PathBuf,
    /// Admin interface of each of lab's proxies in front of the group, IP:PORT or HOST:PORT
    #[arg(
        long,
        value_name = "ADDRESS",
        value_parser = address,
        value_delimiter = ',',
        required_unless_present = "dry_run"
    )]
    admin: Vec<SocketAddr>,
    /// File whose first line is the token that the admin interface asks for
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// Who has the instances
    #[arg(long, value_enum, default_value = "process")]
    provider: ProviderWord,
    /// Ask this Prometheus server instead of the instances
    #[arg(long, value_name = "URL")]
    prometheus: Option<String>,
    /// What it is asked: one value for each instance, told apart by its label `instance` or by its
    /// name; or one value for all [default: that of the metric of FILE]
    #[arg(long, value_name = "PROMQL", requires = "prometheus")]
    query: Option<String>,
    /// Only say what would be done about the instances that Prometheus knows, or about a series
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run, a load that was recorded: CSV or Parquet with a column `time` and one for
    /// each instance, or `mean` and `instances`; or the timeline.parquet of a run
    #[arg(long, value_name = "FILE", requires = "dry_run", conflicts_with = "prometheus")]
    series: Option<PathBuf>,
    /// Try this scenario's autoscaler on the series too, or that of a Kubernetes manifest; may be
    /// given again
    #[arg(long, value_name = "FILE", requires = "series")]
    also: Vec<PathBuf>,
    /// Give an instance up that is not healthy this long after its `start_up`: it is stopped, and
    /// one is tried again after a pause that doubles
    #[arg(long, value_name = "DURATION", default_value_t = Span::from_secs(60))]
    start_limit: Span,
    /// Show /metrics here
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Say everything as lines of JSON
    #[arg(long)]
    json: bool,
    /// Folder for the logs of the instances [default: one below the folder for temporary files]
    #[arg(long, value_name = "FOLDER")]
    logs: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    #[command(flatten)]
    containers: containers::ContainerArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ProviderWord {
    /// Processes of this very program, which end with it
    Process,
    /// Containers of the Docker Engine on this host, which stay when it ends
    Docker,
    /// Services of a Docker Swarm, which stay when it ends
    Swarm,
}

/// An address, or where a host is now.
fn address(text: &str) -> Result<SocketAddr, String> {
    let found: Vec<SocketAddr> =
        text.to_socket_addrs().map_err(|error| error.to_string())?.collect();
    let first = found.iter().find(|found| found.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| "no such host".to_owned())
}

/// Why it does not run, and with which exit code it ends.
pub(super) struct Failure(Exit, Box<dyn std::error::Error>);

impl Failure {
    fn usage(error: impl Into<Box<dyn std::error::Error>>) -> Self {
        Self(Exit::Usage, error.into())
    }

    fn failed(error: impl Into<Box<dyn std::error::Error>>) -> Self {
        Self(Exit::Failed, error.into())
    }
}

/// Runs it until told to stop.
#[must_use]
pub(super) fn run(arguments: &AutoscaleArgs) -> ExitCode {
    let ended = prepare(arguments).and_then(|(site, facts)| {
        if let Some(series) = &arguments.series {
            let by = (arguments.scenario.as_path(), &facts);
            let text = recorded::run(series, by, &arguments.also, site.seed);
            return text.map(|text| print(&text)).map_err(Failure::usage);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::failed)?;
        let local = LocalSet::new();
        runtime.block_on(local.run_until(control(arguments, &site, facts)))
    });
    match ended {
        Ok(()) => Exit::Held.into(),
        Err(Failure(exit, error)) => fail(exit, &error),
    }
}

fn prepare(arguments: &AutoscaleArgs) -> Result<(BalancerFile, AutoscalerFacts), Failure> {
    let (file, overrides) = (&arguments.scenario, arguments.overrides.pairs());
    let site = scenario::load_balancer_with(file, overrides).map_err(Failure::usage)?;
    if arguments.provider == ProviderWord::Process && !arguments.dry_run {
        // Each instance reads the file for itself: what is wrong is better said once, before.
        scenario::load_backends_with(file, overrides).map_err(Failure::usage)?;
    }
    let Some(facts) = site.autoscaler.clone() else {
        let what = format!("{} has no section [autoscaler]", file.display());
        return Err(Failure::usage(what));
    };
    let asks = arguments.prometheus.is_some() || arguments.series.is_some();
    if facts.source == MetricSource::Prometheus && !asks {
        let what = format!(
            "{} asks for `source = \"prometheus\"`: say where it is with --prometheus URL",
            file.display()
        );
        return Err(Failure::usage(what));
    }
    Ok((site, facts))
}

async fn control(
    arguments: &AutoscaleArgs,
    site: &BalancerFile,
    facts: AutoscalerFacts,
) -> Result<(), Failure> {
    if arguments.dry_run {
        let source = source(arguments, &facts)?;
        let Some(asked) = source.asked() else {
            return Err(Failure::usage("a dry run asks Prometheus, or reads a --series"));
        };
        let (say, stop) = (talk(arguments.json), child::told_to_stop());
        return dry_run::run(&asked, &facts, site.seed, say, stop).await;
    }
    match arguments.provider {
        ProviderWord::Process => {
            let fleet = processes(arguments, &facts)?;
            with_fleet(arguments, site, &facts, fleet).await
        }
        ProviderWord::Docker => {
            let fleet = DockerFleet::new(arguments.containers.spec(&facts), None);
            with_fleet(arguments, site, &facts, fleet).await
        }
        ProviderWord::Swarm => {
            let fleet = SwarmFleet::new(arguments.containers.spec(&facts), None);
            with_fleet(arguments, site, &facts, fleet).await
        }
    }
}

async fn with_fleet(
    arguments: &AutoscaleArgs,
    site: &BalancerFile,
    facts: &AutoscalerFacts,
    fleet: impl Fleet,
) -> Result<(), Failure> {
    let stop = child::told_to_stop();
    let zero = clock::now();
    let scaler = Scaler::new(facts.scale.clone(), Seed::new(site.seed, 0));
    let source = source(arguments, facts)?;
    let is_process = arguments.provider == ProviderWord::Process;
    let config = ControlConfig {
        group: facts.group.clone(),
        zero,
        // To look at containers is a question to the daemon.
        step: if is_process { Span::from_millis(200) } else { Span::from_secs(1) },
        start_limit: facts.start_up + arguments.start_limit,
        drain_timeout: facts.drain_timeout,
    };
    let peer = site.balancer.upstream.peers[facts.slots.start].clone();
    let balancing = ProxyAdmin::new(arguments.admin.clone(), token(arguments)?, peer);
    let log = talk(arguments.json);
    let mut control = Control::new(config, scaler, (fleet, balancing, source), log, []);
    if let Some(address) = arguments.metrics {
        let server = MetricsServer::bind(address, control.status(), facts.group.clone(), zero)
            .await
            .map_err(|error| Failure::failed(format!("cannot listen at {address}: {error}")))?;
        let address = server.address().map_err(Failure::failed)?;
        eprintln!("metrics: http://{address}/metrics");
        tokio::task::spawn_local(server.run());
    }
    scaling(&mut control, is_process, stop).await;
    Ok(())
}

/// Runs it until told to stop, and stops what would end anyway, in order.
async fn scaling<
    F: Fleet,
    B: crate::autoscaler::Balancing,
    S: crate::autoscaler::Source,
    L: Log,
>(
    control: &mut Control<F, B, S, L>,
    ends_with_it: bool,
    stop: impl Future<Output = std::io::Result<()>>,
) {
    control
        .run(async {
            // Without handlers for signals the default ones end the process.
            if stop.await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .await;
    if !ends_with_it {
        return;
    }
    eprintln!("stopping the instances; Ctrl-C again ends at once");
    let again = child::told_to_stop();
    tokio::select! {
        () = control.retire() => {}
        _ = again => {}
    }
}

fn source(arguments: &AutoscaleArgs, facts: &AutoscalerFacts) -> Result<Measuring, Failure> {
    let metrics = &facts.scale.metrics;
    if arguments.query.is_some() && metrics.len() > 1 {
        let what = format!(
            "--query stands for one metric, and {} has {}",
            arguments.scenario.display(),
            metrics.len()
        );
        return Err(Failure::usage(what));
    }
    let around = Around {
        group: facts.group.clone(),
        scrape_interval: facts.scrape_interval,
        rate_window: facts.rate_window,
        prometheus: arguments.prometheus.clone(),
        query: arguments.query.clone(),
        scrapes: false,
        admins: arguments.admin.clone(),
        token: token(arguments)?,
    };
    Measuring::new(metrics, &around).map_err(Failure::usage)
}

fn processes(arguments: &AutoscaleArgs, facts: &AutoscalerFacts) -> Result<Processes, Failure> {
    let usual = || std::env::temp_dir().join(format!("lab-autoscale-{}", std::process::id()));
    let logs = arguments.logs.clone().unwrap_or_else(usual);
    std::fs::create_dir_all(&logs).map_err(|error| {
        Failure::failed(format!("cannot make the folder {}: {error}", logs.display()))
    })?;
    Ok(Processes::new(ProcessGroup {
        scenario: arguments.scenario.clone(),
        overrides: arguments.overrides.pairs().to_vec(),
        group: facts.group.clone(),
        max: facts.scale.max,
        host: std::net::Ipv4Addr::LOCALHOST.into(),
        ready_after: facts.start_up,
        logs,
    }))
}

fn token(arguments: &AutoscaleArgs) -> Result<Option<String>, Failure> {
    let Some(file) = &arguments.admin_token_file else { return Ok(None) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    match text.lines().next().map(str::trim).filter(|token| !token.is_empty()) {
        Some(token) => Ok(Some(token.to_owned())),
        None => Err(Failure::usage(format!("{}: its first line is empty", file.display()))),
    }
}

/// Writes what happens: in JSON everything, in words all but polls that change nothing for the same
/// reason as the one before.
fn talk(json: bool) -> impl FnMut(Nanos, &Happening) {
    let mut last = String::new();
    move |at: Nanos, happening: &Happening| {
        if json {
            return print(&format!("{}\n", happening.json(at)));
        }
        let quiet =
            matches!(happening, Happening::Decided(decision) if decision.change == Change::None);
        let words = happening.to_string();
        if !quiet || words != last {
            print(&format!("{} {words}\n", date::rfc3339(clock::wall())));
        }
        if quiet {
            last = words;
        }
    }
}
