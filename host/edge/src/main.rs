//! `berth-edge`: this machine's folders at a Core.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use berth_edge::roots::{Access, RootSpec, Roots};
use berth_edge::{Config, tools};
use berth_provider::{Finding, Identity, Provider, Report, Token, log_to_stderr, on_signals};
use clap::Parser;

/// Offers this machine's folders and a few plain tools to a berth Core.
#[derive(Debug, Parser)]
#[command(name = "berth-edge", version)]
struct Flags {
    /// Settings as TOML; flags win over it.
    #[arg(long, value_name = "FILE", env = "BERTH_EDGE_CONFIG")]
    config: Option<PathBuf>,
    /// The address of Core, http://127.0.0.1:8787 by default; ws:// and wss:// lead to the same place.
    #[arg(long, visible_alias = "url", value_name = "URL", env = "BERTH_URL")]
    core: Option<String>,
    /// A file with the access token; otherwise BERTH_ACCESS_TOKEN.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Who this is: `lab1` makes the endpoint `edge.lab1.executor`. The host name by default.
    #[arg(long, value_name = "ID", env = "BERTH_ENDPOINT_ID")]
    endpoint_id: Option<String>,
    /// How people call it.
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// A workspace that may use it; may be given more than once.
    #[arg(long = "workspace", value_name = "ID")]
    workspaces: Vec<String>,
    /// A folder that calls may read, with `:rw` also write; may be given more than once.
    #[arg(long = "root", value_name = "NAME=PATH[:rw]")]
    roots: Vec<RootSpec>,
    /// Looks at configuration, folders, token and Core, tells what is wrong, and ends: with 1 when something is.
    #[arg(long)]
    check: bool,
    /// What to log, such as `info` or `berth_provider=debug`.
    #[arg(long, value_name = "FILTER", default_value = "info", env = "BERTH_LOG")]
    log_level: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    let prepared = log_to_stderr(&flags.log_level).map_err(Into::into).and_then(|()| prepare(&flags));
    let (provider, roots) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return say(&error, 2),
    };
    if flags.check {
        return check(&provider, &roots).await;
    }
    let stop = match on_signals().context("signals cannot be heard") {
        Ok(stop) => stop,
        Err(error) => return say(&error, 1),
    };
    match provider.run(stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(stopped) => ExitCode::from(stopped.exit_code()),
    }
}

/// Says why the process ends before it serves. The log may be what is wrong.
fn say(error: &anyhow::Error, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "berth-edge: {error:#}");
    ExitCode::from(code)
}

/// What `--check` tells of a set-up that could be made.
async fn check(provider: &Provider, roots: &[RootSpec]) -> ExitCode {
    let mut report = Report::default();
    for RootSpec { name, path, access } in roots {
        let (mode, word) = match access {
            Access::ReadOnly => (rustix::fs::Access::READ_OK, "read"),
            Access::ReadWrite => {
                (rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK, "read and written")
            }
        };
        let allowed = rustix::fs::access(path, mode | rustix::fs::Access::EXEC_OK);
        let place = format!("{name}: {}", path.display());
        let told =
            allowed.map(|()| format!("{place} can be {word}")).map_err(|error| format!("{place}: {error}"));
        report.result("root", told);
    }
    if roots.is_empty() {
        report.add(Finding::Doubtful, "root", "none: there are no file tools");
    }
    provider.check(&mut report).await;
    let _ = write!(std::io::stdout(), "{report}");
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn prepare(flags: &Flags) -> anyhow::Result<(Provider, Vec<RootSpec>)> {
    let config = match &flags.config {
        Some(path) => Config::load(path)?,
        None => Config::default(),
    };
    let token_file = flags.token_file.as_deref().or(config.token_file.as_deref());
    let token = Token::find(token_file, &["BERTH_ACCESS_TOKEN"])?;
    let identity = identity(flags, &config)?;
    let roots = config.root_specs(&flags.roots);
    let mut tools = tools(Roots::open(&roots, config.limits.clone())?);
    if !config.tools.is_empty() {
        let on_offer: Vec<&str> = tools.keys().collect();
        let unknown = config.tools.iter().find(|key| !on_offer.contains(&key.as_str()));
        if let Some(unknown) = unknown {
            anyhow::bail!("`tools` names `{unknown}`; there are {}", on_offer.join(", "));
        }
        tools.retain(|key| config.tools.iter().any(|tool| tool == key));
    }
    let core = flags.core.as_deref().unwrap_or(&config.core);
    let provider = Provider::builder(core, token, identity).tools(tools).limits(config.provider_limits());
    Ok((provider.secret_from_environment().build()?, roots))
}

fn identity(flags: &Flags, config: &Config) -> anyhow::Result<Identity> {
    let id = match flags.endpoint_id.as_ref().or(config.endpoint_id.as_ref()) {
        Some(id) => id.clone(),
        None => berth_provider::host_facts()
            .get("hostname")
            .and_then(|name| name.as_str())
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .context("this machine has no name: give --endpoint-id")?,
    };
    let workspaces = if flags.workspaces.is_empty() { &config.workspaces } else { &flags.workspaces };
    let identity = Identity::executor("edge", &id).serving(workspaces);
    Ok(match flags.display_name.as_ref().or(config.display_name.as_ref()) {
        Some(name) => identity.named(name),
        None => identity,
    })
}
