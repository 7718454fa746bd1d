//! The commands that say how sure a number is.

use crate::support::{Folder, code, ran, stderr, stdout};

/// Four servers of 100/s each; the model runs it in milliseconds.
const SYSTEM: &str = r#"
schema_version = 1
[scenario]
name = "system"
seed = 3
duration = "4s"
warm_up = "1s"
[traffic]
rate = "280/s"
[balancer]
algorithm = "least_conn"
[[backend]]
name = "b"
count = 4
service = { law = "exponential", mean = "10ms" }
[[check]]
that = "p99 < 300ms"
"#;

fn folder() -> Folder {
    let folder = Folder::new();
    folder.file("system.toml", SYSTEM);
    folder
}

fn json(output: &std::process::Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", stdout(output), stderr(output)))
}

#[test]
fn two_policies_are_compared_on_the_same_draws() {
    let folder = folder();
    let algorithms = "balancer.algorithm=least_conn,random";
    let output = folder.run(&["compare", "system.toml", "--set", algorithms]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("A is faster than B by "), "{}", stdout(&output));
    assert!(stdout(&output).contains("the distributions of latency differ"), "{}", stdout(&output));
    let one =
        folder.run(&["compare", "system.toml", "--set", algorithms, "--json", "--threads", "1"]);
    let two =
        folder.run(&["compare", "system.toml", "--set", algorithms, "--json", "--threads", "2"]);
    let found = json(&one);
    assert_eq!(found, json(&two));
    assert_eq!(
        (&found["versus"]["finding"], &found["common_numbers"]),
        (&"less".into(), &true.into())
    );

    let few = folder.run(&[
        "compare",
        "system.toml",
        "--set",
        "balancer.algorithm=random_two,least_request",
        "--replications",
        "2",
        "--at",
        "p99.9",
    ]);
    assert!(stdout(&few).contains("can't tell A from B at p99.9"), "{}", stdout(&few));
    assert!(stdout(&few).contains("it takes "), "{}", stdout(&few));
    for (arguments, message) in [
        (&["compare", "system.toml"][..], "one scenario alone"),
        (&["compare", "system.toml", "--set", "balancer.algorithm=a,b,c"][..], "two values"),
        (&["compare", "system.toml", "results"][..], "two scenarios, or two runs"),
        (&["compare", "results", "--live"][..], "for scenarios"),
        (&["compare", "system.toml", "system.toml", "--at", "jain"][..], "--at takes"),
    ] {
        let output = folder.run(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert!(stderr(&output).contains(message), "{arguments:?}: {}", stderr(&output));
    }
}

/// Six rounds of each, a second long: the second system is twice as slow, which any host shows.
#[test]
fn live_rounds_take_turns() {
    let folder = folder();
    let set = ["--set", "scenario.duration=800ms", "--set", "scenario.warm_up=100ms"];
    let mut arguments = vec!["compare", "--live", "system.toml", "--rounds", "6", "--json"];
    arguments.extend(set);
    arguments.extend(["--set", "backend.b.speed=1.0,0.6", "--set", "traffic.rate=100/s"]);
    let output = folder.run(&arguments);
    assert!(ran(&output), "{}", stderr(&output));
    let found = json(&output);
    let order: Vec<&str> =
        found["order"].as_array().unwrap().iter().filter_map(|side| side.as_str()).collect();
    assert_eq!(order.join(""), "abbaabbaabba");
    assert_eq!(found["versus"]["pairs"], 6);
    assert_eq!(found["versus"]["unit"], "rounds");
    assert!(found["versus"]["differences"][0]["difference"]["low"].is_number(), "{found}");
    let run = folder.runs("system").remove(0);
    let again = folder.run(&[
        "compare",
        run.join("a").to_str().unwrap(),
        run.join("b").to_str().unwrap(),
        "--json",
    ]);
    assert_eq!(json(&again)[0]["versus"], found["versus"], "read back, it is the same");
}

#[test]
fn a_regression_beyond_noise_exits_with_3_and_ci_reads_it() {
    let folder = folder();
    let run = |more: &[&str]| {
        let mut arguments =
            vec!["run", "system.toml", "--only", "sim", "--replications", "40", "--quiet"];
        arguments.extend(more);
        folder.run(&arguments)
    };
    assert_eq!(code(&run(&[])), 0);
    let before = folder.runs("system").remove(0);
    let before = before.to_str().unwrap();
    let same = run(&["--baseline", before, "--fail-on", "p99 +0%"]);
    assert_eq!(code(&same), 0, "{}", stderr(&same));
    let slow = ["--set", "backend.b.speed=0.85", "--baseline", before];
    let mut junit = slow.to_vec();
    junit.extend(["--junit", "out.xml", "--format", "markdown"]);
    let worse = run(&junit);
    assert_eq!(code(&worse), 3, "{}{}", stdout(&worse), stderr(&worse));
    assert!(stdout(&worse).contains("worse than its baseline"), "{}", stdout(&worse));
    assert!(stdout(&worse).contains("| ❌ failed | `p99 +5% of the baseline (sim)` |"));
    let xml = std::fs::read_to_string(folder.path().join("out.xml")).unwrap();
    assert!(xml.contains("tests=\"3\"") && xml.contains("failures=\"1\""), "{xml}");
    assert!(xml.contains("system.baseline") && xml.contains("system.checks"), "{xml}");

    let mut github = vec!["run", "system.toml", "--only", "sim", "--replications", "40"];
    github.extend(slow);
    github.extend(["--format", "github"]);
    let summary = folder.path().join("summary.md");
    let output = folder.lab(&github).env("GITHUB_STEP_SUMMARY", &summary).output().unwrap();
    let told = stdout(&output);
    assert!(
        told.starts_with("::error file=system.toml,title=p99 +5%25 of the baseline (sim)::"),
        "{told}"
    );
    assert!(std::fs::read_to_string(&summary).unwrap().contains("worse than its baseline"));

    let allowed =
        run(&["--set", "backend.b.speed=0.85", "--baseline", before, "--fail-on", "p99 +500%"]);
    assert_eq!(code(&allowed), 0);
    for (arguments, message) in [
        (&["--baseline", "missing.json"][..], "missing.json"),
        (&["--baseline", "system.toml"][..], "no summary of one run"),
        (&["--fail-on", "p99 +5%"][..], "--baseline"),
        (&["--baseline", before, "--fail-on", "p99 -5%"][..], "such as +5%"),
    ] {
        let output = run(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert!(stderr(&output).contains(message), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn the_model_finds_its_warm_up_its_replications_and_its_end() {
    let folder = folder();
    let run = |threads: &str, sets: &[&str]| {
        let mut arguments =
            vec!["run", "system.toml", "--only", "sim", "--json", "--threads", threads];
        sets.iter().for_each(|set| arguments.extend(["--set", set]));
        let mut found = json(&folder.run(&arguments));
        found["run"] = serde_json::Value::Null;
        found
    };
    let precise = ["scenario.precision=p90 ± 2%", "scenario.warm_up=auto"];
    let found = run("1", &precise);
    assert_eq!(found, run("2", &precise));
    let world = &found["worlds"][0];
    let replications = world["replications"].as_u64().unwrap();
    assert!((10..200).contains(&replications), "{replications}");
    let p90 = |side: &str| world["latency"]["p90"][side].as_f64().unwrap();
    let half = (p90("high") - p90("value")).max(p90("value") - p90("low"));
    assert!(half <= 0.02 * p90("value"), "{half} of {}", p90("value"));

    let few = run("1", &["scenario.precision=p90 ± 0.1%", "scenario.max_replications=12"]);
    assert_eq!(few["worlds"][0]["replications"], 12);
    let warnings = few["worlds"][0]["warnings"].to_string();
    assert!(warnings.contains("0.10 % was asked for"), "{warnings}");

    let until = ["scenario.until=p90 ± 3%", "scenario.duration=1h", "scenario.name=until"];
    let found = run("1", &until);
    let latency = &found["worlds"][0]["latency"]["p90"];
    let requests = found["worlds"][0]["requests"].as_u64().unwrap();
    assert!((2_000..500_000).contains(&requests), "{requests}");
    assert!(latency["high"].is_number(), "{latency}");
    // The run as it is recorded tells where it ended.
    let last = folder.runs("until").pop().unwrap();
    let manifest = std::fs::read_to_string(last.join("run.json")).unwrap();
    assert!(manifest.contains("scenario.duration") && manifest.contains("ns"), "{manifest}");
    let read = json(&folder.run(&["compare", last.to_str().unwrap(), "--json"]));
    assert_eq!(read["worlds"][0]["latency"], found["worlds"][0]["latency"]);
}

#[test]
fn the_capacity_is_found_and_drawn() {
    let folder = folder();
    let run = |more: &[&str]| {
        let mut arguments = vec!["capacity", "system.toml", "--slo", "p90 < 60ms", "--no-live"];
        arguments.extend(["--replications", "10", "--resolution", "3%"]);
        arguments.extend(more);
        folder.run(&arguments)
    };
    let output = run(&[]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("at most hold p90 < 60ms"), "{}", stdout(&output));
    let run_folder = folder.runs("system-capacity").remove(0);
    for file in ["summary.json", "capacity.png"] {
        assert!(run_folder.join(file).exists(), "{file} is missing");
    }
    let found = json(&run(&["--json", "--threads", "1"]));
    let model = &found["model"];
    assert_eq!(model, &json(&run(&["--json", "--threads", "2"]))["model"]);
    let answer = model["answer"].as_f64().unwrap();
    // Four servers of 100/s; least connections is near one queue for all.
    assert!((300.0..395.0).contains(&answer), "{answer}");
    let servers = json(&run(&["--servers", "--json"]));
    assert_eq!((&servers["unit"], &servers["model"]["answer"]), (&"servers".into(), &4.0.into()));
    let none =
        folder.run(&["capacity", "system.toml", "--slo", "p50 < 1us", "--no-live", "--quiet"]);
    assert_eq!(code(&none), 3, "{}", stdout(&none));
    for (arguments, message) in [
        (&["--servers=c"][..], "no [[backend]] named `c`"),
        (&["--slo", "sim.p99 < 1s"][..], "tried in each"),
        (&["--slo", "p99"][..], "expected a relation"),
    ] {
        let output = run(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert!(stderr(&output).contains(message), "{arguments:?}: {}", stderr(&output));
    }
}
