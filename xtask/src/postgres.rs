//! A PostgreSQL of our own: a temporary folder, a free port of the loopback, gone at the end.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::{debian, step};

/// How often a port is tried.
const START_ATTEMPTS: u32 = 3;

/// A running cluster; dropping it stops the server and removes its folder.
pub struct Cluster {
    programs: PathBuf,
    folder: tempfile::TempDir,
    as_user: Option<&'static str>,
    port: u16,
}

impl Cluster {
    /// Installs PostgreSQL when it is missing, makes a cluster and starts it.
    pub fn start() -> anyhow::Result<Self> {
        let programs = match find_programs() {
            Some(programs) => programs,
            None => {
                debian::install(&["postgresql"])?;
                find_programs().context("PostgreSQL is installed, but its initdb is nowhere to be found")?
            }
        };
        let folder = tempfile::Builder::new().prefix("berth-pg-").tempdir()?;
        // The server refuses to run as root; the package made a user for it.
        let as_user = debian::is_root().then_some("postgres");
        if let Some(user) = as_user {
            step::quietly("chown", Command::new("chown").arg(user).arg(folder.path()))?;
        }
        let mut cluster = Self { programs, folder, as_user, port: 0 };
        cluster.command("initdb", |command| {
            command.args(["-U", "berth", "--auth=trust", "--encoding=UTF8", "--no-sync", "-D"]);
            command.arg(cluster.data());
        })?;
        let mut attempts = 0;
        while let Err(error) = cluster.listen() {
            attempts += 1;
            if attempts == START_ATTEMPTS {
                return Err(error);
            }
            step::say(&format!("PostgreSQL did not start, trying another port: {error:#}"));
        }
        step::say(&format!("PostgreSQL listens on 127.0.0.1:{}", cluster.port));
        Ok(cluster)
    }

    /// Starts the server on a port that is free now; somebody else may be faster.
    fn listen(&mut self) -> anyhow::Result<()> {
        self.port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -k {} -c fsync=off -c full_page_writes=off \
             -c synchronous_commit=off -c max_connections=200",
            self.port,
            self.folder.path().display()
        );
        self.command("pg_ctl", |command| {
            command.args(["-w", "-t", "60", "-o", &options, "-l"]);
            command.arg(self.folder.path().join("log")).arg("-D").arg(self.data()).arg("start");
        })
    }

    /// The address of its administration database.
    pub fn url(&self) -> String {
        format!("postgres://berth@127.0.0.1:{}/postgres", self.port)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str, arguments: impl FnOnce(&mut Command)) -> anyhow::Result<()> {
        let path = self.programs.join(program);
        let mut command = match self.as_user {
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", user, "--regid", user, "--init-groups", "--"]).arg(path);
                command
            }
            None => Command::new(path),
        };
        arguments(&mut command);
        command.current_dir(self.folder.path());
        step::quietly(program, &mut command)?;
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let stopped = self.command("pg_ctl", |command| {
            command.args(["-m", "immediate", "-D"]).arg(self.data()).arg("stop");
        });
        if let Err(error) = stopped {
            step::say(&format!("PostgreSQL did not stop: {error:#}"));
        }
    }
}

/// The folder with `initdb`: the newest of the Debian versions, else the one on the path.
fn find_programs() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, programs)| programs.join("initdb").exists())
        .collect();
    versions.sort();
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|folder| Path::new(folder).join("initdb").exists())
    };
    versions.pop().map(|(_, programs)| programs).or_else(on_path)
}
