//! An `nginx.conf` of the user's own, or all files of one as `nginx -T` prints them, bound to the
//! backends of a scenario.
//!
//! Replaced are the addresses of `listen` and of each upstream's `server`, and what only one NGINX
//! on a host may have (`pid`, `daemon`). Everything else is run as it stands.

use super::FILE;
use super::dump::whole;
use super::parse::{Directive, parse};
use super::write::quoted;
use crate::engine::user::{self, Edit, Words};
use crate::engine::{UserConfiguration, UserConfigurationError, Wiring};
use crate::scenario::Scenario;

/// Files beside `nginx.conf` that hold nothing that would have to be replaced.
const HARMLESS: [&str; 6] =
    ["mime.types", "fastcgi_params", "fastcgi.conf", "uwsgi_params", "scgi_params", "proxy_params"];
/// Where relative names of files are looked for.
const PREFIX: &str = "/etc/nginx";

/// Rewrites `text` for `wiring`.
pub(in crate::engine) fn user_configuration(
    text: &str,
    scenario: &Scenario,
    wiring: &Wiring,
) -> Result<UserConfiguration, UserConfigurationError> {
    let text = &*whole(text)?;
    let directives = parse(text)?;
    let mut rewriting = Rewriting { wiring, edits: Vec::new(), notes: Vec::new() };
    rewriting.upstreams(&directives, scenario)?;
    rewriting.listens(&directives)?;
    rewriting.surroundings(&directives)?;
    Ok(UserConfiguration::edited(FILE, text, rewriting.edits, rewriting.notes))
}

struct Rewriting<'a> {
    wiring: &'a Wiring,
    edits: Vec<Edit>,
    notes: Vec<String>,
}

impl Rewriting<'_> {
    /// The servers of each upstream stand for the backends.
    fn upstreams(
        &mut self,
        directives: &[Directive],
        scenario: &Scenario,
    ) -> Result<(), UserConfigurationError> {
        let upstreams: Vec<_> = directives
            .iter()
            .filter(|directive| directive.name() == "upstream" && directive.is_in(&["http"]))
            .filter_map(|directive| directive.opens.map(|block| (directive, block)))
            .collect();
        if upstreams.is_empty() {
            return Err(UserConfigurationError::misfit(
                "it has no `upstream` block in `http`: lab would not know which \
                               addresses stand for the backends",
            ));
        }
        for (upstream, block) in upstreams {
            let servers: Vec<_> = directives
                .iter()
                .filter(|directive| directive.block == block && directive.name() == "server")
                .collect();
            let names: Vec<&str> =
                scenario.backends.iter().map(|backend| backend.name.as_str()).collect();
            for (server, backend) in servers.iter().zip(assignment(upstream, &servers, &names)?) {
                let Some(word) = server.words.get(1) else {
                    let what = "`server` without an address".to_owned();
                    return Err(UserConfigurationError::Syntax { line: server.line, what });
                };
                let address = self.wiring.backends[backend].to_string();
                self.edits.push((word.place.clone(), address));
            }
        }
        Ok(())
    }

    /// Clients come to the first `listen`; the others are moved to sockets that nobody asks.
    fn listens(&mut self, directives: &[Directive]) -> Result<(), UserConfigurationError> {
        let is_listen = |directive: &&Directive| {
            directive.name() == "listen" && directive.is_in(&["http", "server"])
        };
        let listens: Vec<_> = directives.iter().filter(is_listen).collect();
        for server in directives.iter().filter(|d| d.name() == "server" && d.is_in(&["http"])) {
            if !listens.iter().any(|listen| Some(listen.block) == server.opens) {
                let what = "this server has no `listen`, and NGINX would take port 80: add one";
                return Err(UserConfigurationError::Syntax {
                    line: server.line,
                    what: what.to_owned(),
                });
            }
        }
        let speaks_http = |listen: &Directive| {
            !listen
                .words
                .iter()
                .skip(2)
                .any(|word| ["ssl", "proxy_protocol", "quic"].contains(&word.text.as_str()))
        };
        let Some(front) = listens.iter().position(|listen| speaks_http(listen)) else {
            return Err(UserConfigurationError::misfit(
                "it has no `listen` for plain HTTP, which lab's clients speak",
            ));
        };
        for (number, listen) in listens.iter().enumerate() {
            let Some(word) = listen.words.get(1) else {
                let what = "`listen` without an address".to_owned();
                return Err(UserConfigurationError::Syntax { line: listen.line, what });
            };
            if number == front {
                self.edits.push((word.place.clone(), self.wiring.listen.to_string()));
            } else {
                let socket = self.wiring.folder.join(format!("listen-{}.sock", number + 1));
                self.edits
                    .push((word.place.clone(), quoted(&format!("unix:{}", socket.display()))));
                self.notes.push(format!(
                    "line {}: `listen {}` gets no traffic: clients come to the one of line {}",
                    listen.line, word.text, listens[front].line
                ));
            }
        }
        Ok(())
    }

    /// Files, and how it is started.
    fn surroundings(&mut self, directives: &[Directive]) -> Result<(), UserConfigurationError> {
        for include in directives.iter().filter(|directive| directive.name() == "include") {
            self.include(include)?;
        }
        let pid =
            format!("pid {};", quoted(&self.wiring.folder.join("nginx.pid").display().to_string()));
        let mut missing = String::new();
        for (name, wanted) in [("pid", pid.as_str()), ("daemon", "daemon off;")] {
            match directives.iter().find(|d| d.name() == name && d.within.is_empty()) {
                Some(directive) => self.edits.push((directive.place.clone(), wanted.to_owned())),
                None => {
                    missing.push_str(wanted);
                    missing.push('\n');
                }
            }
        }
        if let Some(directive) = directives.iter().find(|d| d.name() == "master_process") {
            self.edits.push((directive.place.clone(), "master_process on;".to_owned()));
        }
        self.edits.push((0..0, missing));
        Ok(())
    }

    fn include(&mut self, include: &Directive) -> Result<(), UserConfigurationError> {
        let name = include.argument();
        let file = name.rsplit('/').next().unwrap_or(name);
        if name.contains("modules-enabled") && name.starts_with('/') {
            return Ok(());
        }
        if !HARMLESS.contains(&file) {
            let what = format!(
                "`include {name}` may hold what must be replaced, and lab reads one file: give it \
                 the whole configuration, as `nginx -T` prints it"
            );
            return Err(UserConfigurationError::Syntax { line: include.line, what });
        }
        if !name.starts_with('/') {
            let place = include.words[1].place.clone();
            self.edits.push((place, quoted(&format!("{PREFIX}/{name}"))));
        }
        Ok(())
    }
}

/// The backend of each server: by the name in the comment behind it, else by its place.
fn assignment(
    upstream: &Directive,
    servers: &[&Directive],
    names: &[&str],
) -> Result<Vec<usize>, UserConfigurationError> {
    let group = (upstream.line, format!("upstream `{}`", upstream.argument()));
    let servers: Vec<(usize, Vec<&str>)> = servers
        .iter()
        .map(|it| (it.line, it.comment.split_whitespace().take(1).collect()))
        .collect();
    user::assignment(&Words { group, example: "server …; # " }, &servers, names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    fn failover() -> Scenario {
        scenario::load("scenarios/failover.toml").expect("a valid scenario")
    }

    fn rewrite(text: &str) -> Result<UserConfiguration, UserConfigurationError> {
        user_configuration(text, &failover(), &Wiring::example(4))
    }

    const MINE: &str = "\
user www-data;
pid /run/nginx.pid;
http {
    include mime.types;
    upstream app {
        least_conn;
        server app1:80 weight=5;
        server app2:80 weight=5;
        server app3:80 weight=3;
        server app4:80 backup;
    }
    server {
        listen 80 default_server;
        listen 443 ssl;
        location / { proxy_pass http://app; }
    }
}
";

    #[test]
    fn addresses_and_files_are_replaced_and_nothing_else() {
        let mine = rewrite(MINE).expect("it fits");
        let expected = "\
--- nginx.conf (yours)
+++ nginx.conf (as run)
@@ -1,17 +1,18 @@
+daemon off;
 user www-data;
-pid /run/nginx.pid;
+pid /tmp/lab/nginx.pid;
 http {
-    include mime.types;
+    include /etc/nginx/mime.types;
     upstream app {
         least_conn;
-        server app1:80 weight=5;
-        server app2:80 weight=5;
-        server app3:80 weight=3;
-        server app4:80 backup;
+        server 127.0.0.1:9001 weight=5;
+        server 127.0.0.1:9002 weight=5;
+        server 127.0.0.1:9003 weight=3;
+        server 127.0.0.1:9004 backup;
     }
     server {
-        listen 80 default_server;
-        listen 443 ssl;
+        listen 127.0.0.1:8080 default_server;
+        listen unix:/tmp/lab/listen-2.sock ssl;
         location / { proxy_pass http://app; }
     }
 }
";
        assert_eq!(mine.diff, expected);
        assert_eq!(mine.notes.len(), 1, "{:?}", mine.notes);
    }

    #[test]
    fn servers_may_be_named_in_comments_and_be_fewer() {
        let text = "http { upstream a {\n server x:1; # spare\n server y:1; # b1 the first\n }\n\
                    server { listen 1; } }";
        let run = &rewrite(text).expect("it fits").configuration.files[0].text;
        assert!(run.contains("server 127.0.0.1:9004; # spare"), "{run}");
        assert!(run.contains("server 127.0.0.1:9001; # b1"), "{run}");
    }

    #[test]
    fn what_does_not_fit_is_said() {
        for (text, expected) in [
            ("http { server { listen 1; } }", "no `upstream`"),
            (
                "http {\nupstream a { server x; } server { listen 1; } }",
                "line 2: upstream `a` has 1 servers, and the scenario has 4 backends (b1, b2, b3, spare)",
            ),
            (
                "http { include /etc/nginx/conf.d/*.conf; upstream a { server x; # b1\n } server { listen 1; } }",
                "`nginx -T`",
            ),
            (
                "http { upstream a { server x; # b1\n server y; # b1\n } server { listen 1; } }",
                "line 2: a second server here stands for b1",
            ),
            (
                "http { upstream a { server x; # b1\n }\n server { } }",
                "line 3: this server has no `listen`",
            ),
            ("http { upstream a { server x; # b1\n } server { listen 1 ssl; } }", "plain HTTP"),
        ] {
            let error = rewrite(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
