//! A `haproxy.cfg` of the user's own, bound to the backends of a scenario.
//!
//! Replaced are the addresses of `bind` and `server`, the paths of stats sockets, and what would
//! give the process another user or root folder. Everything else is run as it stands.

use super::words::{Line, Word, lines};
use super::{FILE, SOCKET};
use crate::engine::user::{self, Edit, Words};
use crate::engine::{UserConfiguration, UserConfigurationError, Wiring};
use crate::scenario::Scenario;

/// Settings of `global` that are left out: a process that changes its user outlives lab when lab is
/// killed, since the system then forgets whose end it should follow (`prctl(2)`,
/// `PR_SET_PDEATHSIG`), and only root can have another root folder.
const LEFT_OUT: [&str; 5] = ["user", "group", "uid", "gid", "chroot"];
/// Words of a `bind` line whose clients do not speak plain HTTP.
const NOT_PLAIN: [&str; 3] = ["ssl", "accept-proxy", "quic"];

/// Rewrites `text` for `wiring`.
pub(in crate::engine) fn user_configuration(
    text: &str,
    scenario: &Scenario,
    wiring: &Wiring,
) -> Result<UserConfiguration, UserConfigurationError> {
    let sections = sections(lines(text)?);
    let mut rewriting = Rewriting { wiring, edits: Vec::new(), notes: Vec::new() };
    rewriting.servers(&sections, scenario)?;
    rewriting.binds(&sections)?;
    rewriting.global(&sections);
    Ok(UserConfiguration::edited(FILE, text, rewriting.edits, rewriting.notes))
}

/// A section: its first line and the others.
struct Section<'a> {
    head: Line<'a>,
    lines: Vec<Line<'a>>,
}

impl Section<'_> {
    fn is(&self, kinds: &[&str]) -> bool {
        kinds.contains(&self.head.name())
    }

    fn of<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Line<'s>> {
        self.lines.iter().filter(move |line| line.name() == name)
    }

    /// It hands requests on to servers, its own or those of a backend.
    fn forwards(&self) -> bool {
        ["server", "default_backend", "use_backend"].iter().any(|name| self.of(name).count() > 0)
    }
}

/// The keywords that begin a section (`cfg_register_section` in HAProxy's sources).
const SECTIONS: [&str; 16] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "peers",
    "resolvers",
    "userlist",
    "mailers",
    "cache",
    "program",
    "ring",
    "http-errors",
    "fcgi-app",
    "log-forward",
    "crt-store",
];

fn sections(lines: Vec<Line<'_>>) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for line in lines {
        if SECTIONS.contains(&line.name()) {
            sections.push(Section { head: line, lines: Vec::new() });
        } else if let Some(section) = sections.last_mut() {
            section.lines.push(line);
        }
    }
    sections
}

struct Rewriting<'a> {
    wiring: &'a Wiring,
    edits: Vec<Edit>,
    notes: Vec<String>,
}

impl Rewriting<'_> {
    /// The servers of each backend stand for those of the scenario.
    fn servers(
        &mut self,
        sections: &[Section<'_>],
        scenario: &Scenario,
    ) -> Result<(), UserConfigurationError> {
        let names: Vec<&str> = scenario.backends.iter().map(|one| one.name.as_str()).collect();
        let mut found = false;
        for section in sections.iter().filter(|section| section.is(&["backend", "listen"])) {
            if let Some(line) = section.of("server-template").next() {
                return Err(syntax(line, "write the servers out instead of `server-template`"));
            }
            for line in section.of("default-server") {
                if line.after("port").or(line.after("addr")).is_some() {
                    let what = "checks at a place of their own, the same for all servers, would \
                                reach no backend: take `port` and `addr` out";
                    return Err(syntax(line, what));
                }
            }
            let servers: Vec<_> = section.of("server").collect();
            if servers.is_empty() {
                continue;
            }
            found = true;
            for (server, backend) in servers.iter().zip(assignment(section, &servers, &names)?) {
                self.server(server, backend)?;
            }
        }
        if found {
            return Ok(());
        }
        Err(UserConfigurationError::misfit("it has no `server` in a `backend` or `listen` section"))
    }

    fn server(&mut self, server: &Line<'_>, backend: usize) -> Result<(), UserConfigurationError> {
        let Some(address) = server.words.get(2) else {
            return Err(syntax(server, "`server` without an address"));
        };
        let new = self.wiring.backends[backend];
        self.replace(address, new.to_string());
        // Where its checks go, if not there.
        for (word, new) in [("addr", new.ip().to_string()), ("port", new.port().to_string())] {
            if let Some(word) = server.after(word) {
                self.replace(word, new);
            }
        }
        Ok(())
    }

    /// Clients come to the first `bind` that leads to servers; the others are moved to sockets that
    /// nobody asks.
    fn binds(&mut self, sections: &[Section<'_>]) -> Result<(), UserConfigurationError> {
        let fronts = sections.iter().filter(|section| section.is(&["frontend", "listen"]));
        let binds: Vec<(&Section<'_>, &Line<'_>)> = fronts
            .flat_map(|section| section.of("bind").map(move |bind| (section, bind)))
            .collect();
        let is_plain = |bind: &Line<'_>| {
            !bind.words.iter().skip(2).any(|word| NOT_PLAIN.contains(&word.text.as_str()))
        };
        let front = binds.iter().position(|(section, bind)| section.forwards() && is_plain(bind));
        let Some(front) = front else {
            return Err(UserConfigurationError::misfit(
                "it has no `bind` for plain HTTP, which lab's clients speak, in a section with \
                 servers or `default_backend`",
            ));
        };
        for (number, (_, bind)) in binds.iter().enumerate() {
            let Some(word) = bind.words.get(1) else {
                return Err(syntax(bind, "`bind` without an address"));
            };
            if number == front {
                self.replace(word, self.wiring.listen.to_string());
            } else {
                self.replace(word, format!("unix@bind-{}.sock", number + 1));
                self.notes.push(format!(
                    "line {}: `bind {}` gets no traffic: clients come to the one of line {}",
                    bind.number, word.text, binds[front].1.number
                ));
            }
        }
        Ok(())
    }

    /// Sockets, and who the process is.
    fn global(&mut self, sections: &[Section<'_>]) {
        let globals: Vec<_> = sections.iter().filter(|section| section.is(&["global"])).collect();
        let lines = || globals.iter().flat_map(|section| &section.lines);
        let is_socket = |line: &&Line<'_>| {
            line.name() == "stats" && line.words.get(1).is_some_and(|word| word.text == "socket")
        };
        let sockets: Vec<_> = lines().filter(is_socket).filter_map(|it| it.words.get(2)).collect();
        for (number, path) in sockets.iter().enumerate() {
            let name = if number == 0 { SOCKET.to_owned() } else { format!("{number}-{SOCKET}") };
            self.replace(path, format!("unix@{name}"));
        }
        if sockets.is_empty() {
            self.notes.push("it had no stats socket; one was added, for statistics".to_owned());
            let socket = format!("    stats socket unix@{SOCKET} mode 600\n");
            match globals.first() {
                Some(global) => self.edits.push((global.head.end..global.head.end, socket)),
                None => self.edits.push((0..0, format!("global\n{socket}\n"))),
            }
        }
        for line in lines().filter(|line| LEFT_OUT.contains(&line.name())) {
            let start = line.words[0].place.start;
            self.edits.push((start..start, "# ".to_owned()));
            self.notes.push(format!(
                "line {}: `{}` is left out: HAProxy runs as whoever runs lab, and ends with it",
                line.number,
                line.name()
            ));
        }
    }

    fn replace(&mut self, word: &Word, new: String) {
        self.edits.push((word.place.clone(), new));
    }
}

/// The backend of each server: by the name in the comment behind it or its own, else by its place.
fn assignment(
    section: &Section<'_>,
    servers: &[&Line<'_>],
    names: &[&str],
) -> Result<Vec<usize>, UserConfigurationError> {
    let words: Vec<&str> = section.head.words.iter().map(|word| word.text.as_str()).collect();
    let group = (section.head.number, format!("`{}`", words.join(" ")));
    let servers: Vec<(usize, Vec<&str>)> = servers
        .iter()
        .map(|it| {
            let own = it.words.get(1).map(|word| word.text.as_str());
            (it.number, it.comment.split_whitespace().take(1).chain(own).collect())
        })
        .collect();
    user::assignment(&Words { group, example: "server … # " }, &servers, names)
}

fn syntax(line: &Line<'_>, what: &str) -> UserConfigurationError {
    UserConfigurationError::Syntax { line: line.number, what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    fn rewrite(text: &str) -> Result<UserConfiguration, UserConfigurationError> {
        let failover = scenario::load("scenarios/failover.toml").expect("a valid scenario");
        user_configuration(text, &failover, &Wiring::example(4))
    }

    const MINE: &str = "\
global
    chroot /var/lib/haproxy
    stats socket /run/haproxy/admin.sock mode 660 level admin
    user haproxy
defaults
    mode http
    timeout connect 5s
listen stats
    bind :8404
    stats enable
frontend web
    bind *:80  # everybody
    bind *:443 ssl crt /etc/ssl/site.pem
    default_backend app
backend app
    balance leastconn
    server app1 10.0.0.1:80 check port 8080 weight 5
    server app2 'app2.internal:80' check weight 5
    server app3 app3.internal:80 check weight 3
    server app4 app4.internal:80 check backup
";

    #[test]
    fn addresses_sockets_and_users_are_replaced_and_nothing_else() {
        let mine = rewrite(MINE).expect("it fits");
        let expected = "\
--- haproxy.cfg (yours)
+++ haproxy.cfg (as run)
@@ -1,20 +1,20 @@
 global
-    chroot /var/lib/haproxy
-    stats socket /run/haproxy/admin.sock mode 660 level admin
-    user haproxy
+    # chroot /var/lib/haproxy
+    stats socket unix@haproxy.sock mode 660 level admin
+    # user haproxy
 defaults
     mode http
     timeout connect 5s
 listen stats
-    bind :8404
+    bind unix@bind-1.sock
     stats enable
 frontend web
-    bind *:80  # everybody
-    bind *:443 ssl crt /etc/ssl/site.pem
+    bind 127.0.0.1:8080  # everybody
+    bind unix@bind-3.sock ssl crt /etc/ssl/site.pem
     default_backend app
 backend app
     balance leastconn
-    server app1 10.0.0.1:80 check port 8080 weight 5
-    server app2 'app2.internal:80' check weight 5
-    server app3 app3.internal:80 check weight 3
-    server app4 app4.internal:80 check backup
+    server app1 127.0.0.1:9001 check port 9001 weight 5
+    server app2 127.0.0.1:9002 check weight 5
+    server app3 127.0.0.1:9003 check weight 3
+    server app4 127.0.0.1:9004 check backup
";
        assert_eq!(mine.diff, expected);
        assert_eq!(mine.notes.len(), 4, "{:?}", mine.notes);
    }

    #[test]
    fn servers_may_be_named_and_be_fewer() {
        let text = "listen l\n bind :1\n server spare x:1\n server y y:1 # b1 the first\n";
        let mine = rewrite(text).expect("it fits");
        let run = &mine.configuration.files[0].text;
        assert!(run.contains("server spare 127.0.0.1:9004\n"), "{run}");
        assert!(run.contains("server y 127.0.0.1:9001 # b1"), "{run}");
        assert!(run.starts_with("global\n    stats socket unix@haproxy.sock mode 600\n"), "{run}");
    }

    #[test]
    fn what_does_not_fit_is_said() {
        for (text, expected) in [
            ("frontend f\n bind :1\n default_backend b\n", "no `server`"),
            (
                "listen l\n bind :1\n server x x:1\n",
                "line 1: `listen l` has 1 servers, and the scenario has 4 backends (b1, b2, b3, spare)",
            ),
            ("listen l\n server b1 x:1\n bind :1 ssl crt x\n", "no `bind` for plain HTTP"),
            ("listen l\n bind :1\n server b1 x:1\n server b1 y:1\n", "line 4: a second server"),
            ("listen l\n bind :1\n server b1\n", "line 3: `server` without an address"),
            ("listen l\n bind\n server b1 x:1\n", "line 2: `bind` without an address"),
            ("listen l\n bind :1\n server-template a 3 x:1\n", "line 3: write the servers out"),
            ("backend l\n default-server port 3\n server b1 x:1\n", "line 2: checks at a place"),
            ("listen l\n server b1 \"x:1\n", "line 2: a quote that does not end"),
        ] {
            let error = rewrite(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
