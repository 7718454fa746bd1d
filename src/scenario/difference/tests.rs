use std::path::Path;

use super::*;

const BASE: &str = r#"
schema_version = 1
[scenario]
duration = "10s"
[traffic]
rate = "100/s"
[balancer]
algorithm = "least_conn"
[[backend]]
name = "a"
service = { law = "exponential", mean = "10ms" }
[[backend]]
name = "b"
weight = 2
service = { law = "exponential", mean = "10ms" }
[[check]]
that = "p99 < 300ms"
"#;

fn compare(a: &str, b: &str) -> Differences {
    let written = |text| Written { text, path: Path::new("x.toml"), overrides: &[] };
    differences(written(a), written(b)).unwrap_or_else(|wrong| panic!("{wrong}"))
}

/// The keys that differ when each of `changes` (from, to) is made in the base.
fn keys(changes: &[(&str, &str)]) -> Vec<String> {
    let changed = changes.iter().fold(BASE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    let there = compare(BASE, &changed);
    let back = compare(&changed, BASE);
    let keys = |found: &Differences| -> Vec<String> {
        found.differences.iter().map(|it| it.key.clone()).collect()
    };
    let (mut one, mut other) = (keys(&there), keys(&back));
    one.sort();
    other.sort();
    assert_eq!(one, other, "the same keys both ways");
    keys(&there)
}

#[test]
fn units_defaults_and_order_are_no_difference() {
    for changes in [
        &[("10s", "10000ms")][..],
        &[("100/s", "6000/m")],
        &[("[balancer]", "[balancer]\nkeepalive = 32\nread_timeout = \"1m\"")],
        &[("name = \"a\"", "name = \"a\"\nweight = 1\nworkers = 1")],
        &[("p99 < 300ms", "p99<0.3s")],
        &[("[balancer]", "[balancer]\nretry = { on = [\"timeout\", \"error\"] }")],
        &[("\"exponential\", mean = \"10ms\"", "\"exponential\", mean = \"0.01s\"")],
    ] {
        assert_eq!(keys(changes), Vec::<String>::new(), "{changes:?}");
    }
    let (first, rest) = BASE.split_once("[[backend]]\nname = \"b\"").unwrap();
    let (head, a) = first.split_once("[[backend]]").unwrap();
    let (b, check) = rest.split_once("[[check]]").unwrap();
    let turned = format!("{head}[[backend]]\nname = \"b\"{b}[[backend]]{a}[[check]]{check}");
    assert_eq!(compare(BASE, &turned), Differences::default());
}

#[test]
fn what_differs_is_told_by_its_key_with_both_values_and_the_default() {
    let changed =
        BASE.replace("weight = 2\n", "").replace("[balancer]", "[balancer]\nkeepalive = 8");
    let found = compare(BASE, &changed).differences;
    assert_eq!(found.len(), 2, "{found:?}");
    let of = |key: &str| found.iter().find(|it| it.key == key).unwrap();
    let weight = of("backend.b.weight");
    assert_eq!(
        (&weight.a, &weight.b, weight.default.as_deref()),
        (&Some(2.into()), &None, Some("1"))
    );
    let keepalive = of("balancer.keepalive");
    assert_eq!((&keepalive.a, &keepalive.b), (&None, &Some(8.into())));
    assert_eq!(keepalive.default.as_deref(), Some("32"));
}

#[test]
fn the_keys_are_those_that_matter() {
    // A setting of an algorithm that neither uses is none.
    let settings = "\"round_robin\"\nleast_request = { choices = 5 }";
    assert_eq!(keys(&[("\"least_conn\"", settings)]), ["balancer.algorithm"]);
    // A section that switches something on is one thing.
    let health = "[balancer.health]\ninterval = \"2s\"\n[[backend]]\nname = \"a\"";
    assert_eq!(keys(&[("[[backend]]\nname = \"a\"", health)]), ["balancer.health"]);
    // Another law is another law, the same one with another mean is another mean.
    let law = ("mean = \"10ms\" }\n[[backend]]", "mean = \"20ms\" }\n[[backend]]");
    assert_eq!(keys(&[law]), ["backend.a.service.mean"]);
    let law = (
        "\"exponential\", mean = \"10ms\" }\n[[check]]",
        "\"uniform\", low = \"1ms\", high = \"2ms\" }\n[[check]]",
    );
    assert_eq!(keys(&[law]), ["backend.b.service"]);
    let new =
        "[[backend]]\nname = \"c\"\nservice = { law = \"constant\", value = \"1ms\" }\n[[check]]";
    assert_eq!(keys(&[("[[check]]", new)]), ["backend.c"]);
    let check = ("[[check]]", "[[check]]\nthat = \"failed = 0\"\n[[check]]");
    assert_eq!(keys(&[check]), ["check"]);
    assert_eq!(keys(&[("p99 <", "p99.9 <")]), ["check"]);
    let fault = "[[fault]]\nname = \"f\"\nkind = \"crash\"\ntarget = \"a\"\nat = \"1s\"\nfor = \"1s\"\n[[check]]";
    assert_eq!(keys(&[("[[check]]", fault)]), ["fault.f"]);
}

#[test]
fn the_order_of_stages_counts() {
    let stages = |first: &str, second: &str| {
        let stage = |name: &str, rate: &str| {
            format!("[[traffic.stage]]\nname = \"{name}\"\nduration = \"5s\"\nrate = \"{rate}\"\n")
        };
        let both = match first {
            "low" => stage(first, "10/s") + &stage(second, "90/s"),
            _ => stage(first, "90/s") + &stage(second, "10/s"),
        };
        BASE.replace("rate = \"100/s\"\n", &both).replace("duration = \"10s\"\n", "seed = 1\n")
    };
    let found = compare(&stages("low", "high"), &stages("high", "low"));
    assert_eq!(found.differences.len(), 1, "{found:?}");
    assert_eq!(found.differences[0].key, "traffic.stage");
}

#[test]
fn overrides_are_compared_and_what_is_wrong_is_told() {
    let overrides = [("balancer.algorithm".to_owned(), "random".to_owned())];
    let path = Path::new("x.toml");
    let plain = Written { text: BASE, path, overrides: &[] };
    let found = differences(plain, Written { overrides: &overrides, ..plain }).unwrap();
    assert_eq!(found.differences.len(), 1);
    assert_eq!(found.differences[0].b, Some("random".into()));
    let wrong = BASE.replace("least_conn", "least_con");
    assert!(differences(plain, Written { text: &wrong, ..plain }).is_err());
}

/// Every two shipped scenarios: the keys told, and only they, turn one into the other.
#[test]
fn shipped_scenarios_differ_from_each_other_and_not_from_themselves() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let names = ["steady.toml", "failover.toml", "autoscale.toml", "thrash.toml", "overload.toml"];
    for a in names {
        for b in names {
            let (one, other) = (folder.join(a), folder.join(b));
            let found = differences(
                Written { text: &read(a), path: &one, overrides: &[] },
                Written { text: &read(b), path: &other, overrides: &[] },
            );
            let found = found.unwrap_or_else(|wrong| panic!("{wrong}"));
            assert_eq!(found.differences.is_empty(), a == b, "{a} and {b}: {found:?}");
        }
    }
}
