//! NGINX with one worker, configured by hand for one question at a time.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;

use super::problem::{Problem, Tried};
use super::program::{Folder, Program, find, free_address, said};
use super::stage::{Seen, Stage};

const PACKAGE: &str = "nginx";

/// What is asked of NGINX.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Directives of the upstream block before its servers, such as `least_conn;`.
    pub(crate) method: String,
    /// The parameters of each `server` line, such as `weight=5 backup`.
    pub(crate) servers: Vec<String>,
    /// Directives of the location.
    pub(crate) location: String,
    /// Directives of the upstream block after its servers, such as `keepalive 4;`.
    pub(crate) upstream: String,
}

/// A running NGINX.
pub(crate) struct Nginx {
    _program: Program,
    pub(crate) address: SocketAddr,
}

impl Nginx {
    /// The version, as `nginx -v` gives it.
    pub(crate) fn version() -> Tried<String> {
        let said = said(&find("nginx", PACKAGE)?, &["-v"]);
        let said = said.map_err(Problem::during("cannot ask nginx for its version"))?;
        Ok(said.trim().rsplit('/').next().unwrap_or_default().to_owned())
    }

    /// Starts it in front of the servers of `stage`, which sends its requests there.
    pub(crate) fn start(settings: &Settings, stage: &mut Stage) -> Tried<Self> {
        let command = find("nginx", PACKAGE)?;
        let folder = Folder::new()?;
        let address = free_address()?;
        let path = folder.0.display().to_string();
        let config = folder.write("nginx.conf", &settings.text(&path, address, stage))?;
        let mut nginx = Command::new(command);
        nginx.arg("-p").arg(&path).arg("-c").arg(config).args(["-g", "error_log stderr;"]);
        let program = Program::start("nginx", nginx, folder, address)?;
        stage.drive(address);
        Ok(Self { _program: program, address })
    }
}

impl Settings {
    fn text(&self, folder: &str, listen: SocketAddr, stage: &Stage) -> String {
        let Self { method, servers, location, upstream } = self;
        let mut lines = String::new();
        for (address, parameters) in stage.addresses().iter().zip(servers) {
            let _ = writeln!(lines, "        server {address} {parameters};");
        }
        format!(
            "worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    # The field by which requests are hashed may also give the client's address.
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Key;
    upstream up {{
        {method}
{lines}        {upstream}
    }}
    server {{
        listen {listen};
        location / {{
            proxy_pass http://up;
            add_header x-tried $upstream_addr always;
            add_header x-statuses $upstream_status always;
            {location}
        }}
    }}
}}
"
        )
    }
}

/// The servers that NGINX says it tried, those that refused and "no live" too, with the status of
/// each.
pub(crate) fn tried(seen: &Seen, stage: &Stage) -> (Vec<Option<usize>>, Vec<String>) {
    let list = |name: &str| -> Vec<String> {
        let text = seen.response.field(name).unwrap_or_default();
        text.split(", ").filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let addresses: Vec<String> = stage.addresses().iter().map(ToString::to_string).collect();
    let place = |text: &String| addresses.iter().position(|address| address == text);
    (list("x-tried").iter().map(place).collect(), list("x-statuses"))
}
