//! The command line as a person meets it: exit codes, help, errors, colour, JSON.
#![cfg(feature = "cli")]

#[path = "cli/explain.rs"]
mod explain;
#[path = "cli/habits.rs"]
mod habits;
mod support;

use std::os::unix::fs::PermissionsExt;

use support::{Folder, SMALL, code, stderr, stdout};

#[test]
fn the_model_runs_and_leaves_a_whole_result() {
    let folder = Folder::new();
    folder.file("small.toml", SMALL);
    let output = folder.run(&["run", "small.toml", "--only", "sim"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let runs = folder.runs("small");
    assert_eq!(runs.len(), 1);
    for file in [
        "requests.parquet",
        "attempts.parquet",
        "timeline.parquet",
        "events.parquet",
        "summary.json",
        "run.json",
        "latency-percentiles.png",
    ] {
        assert!(runs[0].join(file).exists(), "{file} is missing");
    }
    assert!(stdout(&output).contains("p99.9"), "{}", stdout(&output));
}

#[test]
fn json_is_the_summary_and_nothing_else() {
    let folder = Folder::new();
    folder.file("small.toml", SMALL);
    let output = folder.run(&["run", "small.toml", "--only", "sim", "--json"]);
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let saved = std::fs::read(folder.runs("small")[0].join("summary.json")).unwrap();
    assert_eq!(printed, serde_json::from_slice::<serde_json::Value>(&saved).unwrap());
    assert_eq!(printed["worlds"][0]["world"], "sim");
}

#[test]
fn the_same_seed_gives_the_same_summary_and_another_one_does_not() {
    let folder = Folder::new();
    folder.file("small.toml", SMALL);
    let summary = |arguments: &[&str]| {
        let mut all = vec!["run", "small.toml", "--only", "sim", "--json", "--replications", "4"];
        all.extend(arguments);
        let mut value: serde_json::Value =
            serde_json::from_slice(&folder.run(&all).stdout).unwrap();
        value["run"] = serde_json::Value::Null;
        value
    };
    let one_thread = summary(&["--threads", "1"]);
    assert_eq!(one_thread, summary(&["--threads", "2"]));
    assert_ne!(one_thread, summary(&["--seed", "8"]));
}

#[test]
fn wrong_usage_and_wrong_scenarios_exit_with_2() {
    let folder = Folder::new();
    folder.file("negative.toml", &SMALL.replace("100/s", "-100/s"));
    folder.file("unknown.toml", &SMALL.replace("algorithm", "algoritm"));
    folder.file("weights.toml", &SMALL.replace("workers = 8", "workers = 8\nweight = 0"));
    for (arguments, expected) in [
        (vec!["run"], "SCENARIO"),
        (vec!["frobnicate"], "unrecognized subcommand"),
        (vec!["run", "missing.toml"], "missing.toml"),
        (vec!["run", "negative.toml"], "negative"),
        (vec!["check", "unknown.toml"], "algorithm"),
        (vec!["run", "weights.toml"], "weight"),
        (vec!["check", "."], "."),
    ] {
        let output = folder.run(&arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{arguments:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
    }
    assert!(!folder.path().join("results").exists(), "nothing may be written for a wrong scenario");
}

#[test]
fn a_failed_check_exits_with_3() {
    let folder = Folder::new();
    let text = format!("{SMALL}\n[[check]]\nthat = \"sim.p50 < 1us\"\n");
    folder.file("small.toml", &text);
    let output = folder.run(&["run", "small.toml", "--only", "sim"]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(stdout(&output).contains("FAILED"));
}

#[test]
fn an_unwritable_folder_is_a_clear_error() {
    let folder = Folder::new();
    folder.file("small.toml", SMALL);
    folder.file("occupied", "a file where a folder should be");
    let output = folder.run(&["run", "small.toml", "--only", "sim", "--out", "occupied"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("occupied"), "{}", stderr(&output));

    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).unwrap();
    let output = folder.run(&["run", "small.toml", "--only", "sim", "--out", "closed"]);
    // Root may write anywhere.
    let root = rustix::process::geteuid().is_root();
    assert_eq!(code(&output), if root { 0 } else { 1 }, "{}", stderr(&output));
}

#[test]
fn a_full_disk_is_a_clear_error_and_leaves_nothing() {
    // A tmpfs of 64 KiB is a disk that is full soon; mounting needs root.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = Folder::new();
    folder.file("small.toml", &SMALL.replace("100/s", "20000/s"));
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .arg(&disk)
        .status()
        .unwrap();
    assert!(mounted.success());
    let output = folder.run(&["run", "small.toml", "--only", "sim", "--out", "disk"]);
    let left = std::fs::read_dir(disk.join("small"))
        .map_or(0, |entries| entries.flatten().filter(|entry| entry.path().is_dir()).count());
    let unmounted = std::process::Command::new("umount").arg(&disk).status().unwrap();
    assert!(unmounted.success());
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("No space left"), "{}", stderr(&output));
    assert_eq!(left, 0, "a half result is left");
}

#[test]
fn colour_is_for_terminals_that_want_it() {
    let folder = Folder::new();
    folder.file("small.toml", SMALL);
    let output = folder.run(&["run", "small.toml", "--only", "sim"]);
    assert!(!stdout(&output).contains('\u{1b}'), "a pipe gets no colour");
}

#[test]
fn completions_and_schema_are_printed() {
    let folder = Folder::new();
    let bash = folder.run(&["completions", "bash"]);
    assert_eq!(code(&bash), 0);
    assert!(stdout(&bash).contains("complete -o nospace"));
    let schema = folder.run(&["schema"]);
    let value: serde_json::Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert!(value["properties"]["traffic"].is_object());
}

#[test]
fn help_is_as_recorded() {
    let folder = Folder::new();
    let output = folder.run(&["--help"]);
    assert_eq!(code(&output), 0);
    insta::assert_snapshot!("help", stdout(&output));
}

#[test]
fn a_proxy_configuration_is_checked_without_listening() {
    let folder = Folder::new();
    let file = |listen: &str| {
        format!(
            "schema_version = 1\n[[balancer.listen]]\n{listen}\n\
             [[backend]]\nname = \"a\"\naddress = \"127.0.0.1:1\"\n"
        )
    };
    folder.file("good.toml", &file("address = \"192.0.2.1:80\""));
    let output = folder.run(&["proxy", "--config", "good.toml", "--check"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    for (text, said) in [
        (file("adress = \"192.0.2.1:80\""), "did you mean `address`?"),
        (
            file("address = \"192.0.2.1:80\"\ntls = [{ certificate = \"a\", key = \"b\" }]"),
            "cannot read",
        ),
        ("schema_version = 1\n[[backend]]\nname = \"a\"\n".to_owned(), "has no address"),
    ] {
        folder.file("wrong.toml", &text);
        let output = folder.run(&["proxy", "--config", "wrong.toml", "--check"]);
        assert_eq!(code(&output), 2, "{text}");
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
    let output = folder.run(&["proxy", "--config", "good.toml", "--admin", "0.0.0.0:0", "--check"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("has no token"), "{}", stderr(&output));
}

#[test]
fn a_scenario_from_a_configuration_passes_the_check_and_says_what_is_missing() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("conf.d")).unwrap();
    folder.file("nginx.conf", include_str!("import/nginx/nginx.conf"));
    folder.file("conf.d/app.conf", include_str!("import/nginx/conf.d/app.conf"));
    folder.file("haproxy.cfg", include_str!("import/haproxy/haproxy.cfg"));
    let output = folder.run(&["new", "--from", "nginx.conf"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    for said in ["wrote ./app.toml", "legacy", "conf.d/app.conf:16: listen 443 ssl", "mime.types"] {
        assert!(stdout(&output).contains(said), "{said}: {}", stdout(&output));
    }
    assert_eq!(code(&folder.run(&["check", "app.toml"])), 0);
    // Never over a file that is there.
    assert_eq!(code(&folder.run(&["new", "--from", "nginx.conf"])), 2);
    let output = folder.run(&["new", "--from", "haproxy.cfg", "mine", "--upstream", "static"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(code(&folder.run(&["check", "mine.toml"])), 0);
}

#[test]
fn a_configuration_that_cannot_be_read_names_its_line() {
    let folder = Folder::new();
    folder.file("bad.conf", "upstream a {\n server x\n}\n");
    for (arguments, expected) in [
        (vec!["new"], "--from <FILE>"),
        (vec!["new", "--from", "gone.conf"], "gone.conf"),
        (vec!["new", "--from", "bad.conf"], "bad.conf:2: `server` is not ended with `;`"),
        (vec!["new", "--from", "bad.conf", "--policy", "x"], "cannot be used with"),
    ] {
        let output = folder.run(&arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn a_log_becomes_a_trace_and_a_scenario_that_runs() {
    let folder = Folder::new();
    let line = |i: u32| {
        format!(
            "::1 - - [24/Nov/2026:22:37:{:02} +0000] \"GET /items/{i} HTTP/1.1\" 200 5 \"-\" \"c\" rt=0.0{:02} \
             urt=0.0{:02}\n",
            i / 20,
            10 + i % 30,
            10 + i % 30
        )
    };
    let log: String = (0..400).map(line).collect();
    folder.file("access.log", &log);
    for trace in ["trace.csv", "trace.parquet"] {
        let played = format!("{trace}.toml");
        let import = ["import", "access.log", "-o", trace, "--scenario", &played];
        let output = folder.run(&import);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        for said in ["400 requests", "format combined", "items-id", "whole seconds", "uniform"] {
            assert!(stdout(&output).contains(said), "{said}: {}", stdout(&output));
        }
        let again = folder.run(&import);
        assert_eq!(code(&again), 2);
        assert!(stderr(&again).contains("is there already"), "{}", stderr(&again));
        let output = folder.run(&["run", &played, "--only", "sim", "--json"]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
    }
    assert_eq!(code(&folder.run(&["import", "access.log", "--scenario", "fitted.toml"])), 0);
    assert_eq!(code(&folder.run(&["check", "fitted.toml"])), 0);
    let output = folder.run(&["import", "access.log", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["requests_with_arrival"], 400);

    folder.file("bad.log", &format!("{log}{}", "no request\n".repeat(5)));
    let output = folder.run(&["import", "bad.log", "-o", "bad.csv"]);
    assert_eq!(code(&output), 2);
    for said in ["5 of 405 lines", "line 401: no request", "--max-bad 1%"] {
        assert!(stderr(&output).contains(said), "{said}: {}", stderr(&output));
    }
    assert!(!folder.path().join("bad.csv").exists(), "nothing may be written from a wrong log");
    assert_eq!(code(&folder.run(&["import", "bad.log", "--max-bad", "2%"])), 0);
    assert_eq!(code(&folder.run(&["import", "gone.log"])), 2);
    assert_eq!(code(&folder.run(&["import", "access.log", "--format", "$msec"])), 2);
}
