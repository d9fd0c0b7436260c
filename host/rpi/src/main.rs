//! `berth-pi`: the pins of this board at a Core.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use berth_provider::{Backoff, Finding, Limits, Provider, Report, Token, Tools, log_to_stderr, on_signals};
use berth_rpi::{Board, Config, gpio, tools};
use clap::Parser;
use serde_json::json;

/// Offers the pins of this board, and what is wired to them, to a berth Core.
#[derive(Debug, Parser)]
#[command(name = "berth-pi", version)]
struct Flags {
    /// Settings as JSON, as MeetYou's Raspberry Pi provider has them; flags win over it.
    #[arg(long, value_name = "FILE", env = "MEETYOU_RPI_CONFIG")]
    config: Option<PathBuf>,
    /// The address of Core, http://127.0.0.1:8787 by default; ws:// and wss:// lead to the same place.
    #[arg(long, visible_alias = "url", value_name = "URL", env = "BERTH_URL")]
    core: Option<String>,
    /// A file with the access token; otherwise BERTH_ACCESS_TOKEN.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Who this is: `kitchen` makes the endpoint `rpi.kitchen.executor`.
    #[arg(long, value_name = "ID", env = "BERTH_ENDPOINT_ID")]
    endpoint_id: Option<String>,
    /// A workspace that may use it; may be given more than once.
    #[arg(long = "workspace", value_name = "ID")]
    workspaces: Vec<String>,
    /// Pins in memory instead of the board's: nothing is switched.
    #[arg(long, alias = "fake-gpio", conflicts_with = "gpio")]
    simulate_gpio: bool,
    /// How pins are reached: simulated, gpiocdev or rppal.
    #[arg(long, value_name = "BACKEND")]
    gpio: Option<String>,
    /// Without a Core: runs echo and system info, prints the answers as JSON, and ends.
    #[arg(long)]
    simulate: bool,
    /// Looks at configuration, pins, token and Core, tells what is wrong, and ends: with 1 when something is.
    #[arg(long, conflicts_with = "simulate")]
    check: bool,
    /// What to log, such as `info` or `berth_provider=debug`.
    #[arg(long, value_name = "FILTER", default_value = "info", env = "BERTH_LOG")]
    log_level: String,
}

/// Why the process ends before it serves.
enum Failure {
    /// What it was told cannot be done: ends with 2.
    Usage(anyhow::Error),
    /// What it needs is not there: ends with 1.
    Failed(anyhow::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    let ended = match log_to_stderr(&flags.log_level) {
        Ok(()) => start(&flags).await,
        Err(error) => Err(Failure::Usage(error.into())),
    };
    let (error, code) = match ended {
        Ok(code) => return code,
        Err(Failure::Usage(error)) => (error, 2),
        Err(Failure::Failed(error)) => (error, 1),
    };
    // The log may be what is wrong.
    let _ = writeln!(std::io::stderr(), "berth-pi: {error:#}");
    ExitCode::from(code)
}

async fn start(flags: &Flags) -> Result<ExitCode, Failure> {
    let config = settings(flags).map_err(Failure::Usage)?;
    for remark in &config.remarks {
        tracing::warn!("configuration: {remark}");
    }
    if flags.check {
        return check(flags, &config).await.map_err(Failure::Failed);
    }
    let board = board(flags, &config).map_err(Failure::Failed)?;
    let tools = tools(&board, &config);
    if flags.simulate {
        return simulate(&tools).await.map_err(Failure::Failed);
    }
    let provider = provider(flags, &config, tools).map_err(Failure::Usage)?;
    let stop = on_signals().context("signals cannot be heard").map_err(Failure::Failed)?;
    let result = provider.run(stop).await;
    board.close();
    Ok(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(stopped) => ExitCode::from(stopped.exit_code()),
    })
}

fn provider(flags: &Flags, config: &Config, tools: Tools) -> anyhow::Result<Provider> {
    let limits = Limits {
        max_running: config.max_parallel_calls,
        max_timeout: config.max_timeout,
        ..Limits::default()
    };
    let provider = Provider::builder(&config.core_base_url, token(flags, config)?, config.identity.clone())
        .tools(tools)
        .limits(limits)
        .backoff(Backoff::new(config.reconnect_initial, config.reconnect_max));
    Ok(provider.secret_from_environment().build()?)
}

fn settings(flags: &Flags) -> anyhow::Result<Config> {
    let file = match &flags.config {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("the configuration {} cannot be read", path.display()))?,
        None => "{}".to_owned(),
    };
    let parsed = Config::parse(&file, |name| std::env::var(name).ok());
    let mut config = parsed.map_err(|error| match &flags.config {
        Some(path) => anyhow::anyhow!("{}: {}: {error}", path.display(), error.code),
        None => anyhow::anyhow!("{}: {error}", error.code),
    })?;
    if let Some(core) = &flags.core {
        config.core_base_url.clone_from(core);
    }
    if let Some(id) = &flags.endpoint_id {
        let old = &config.identity;
        let named = berth_provider::Identity::executor(&old.provider_type, id);
        config.identity.provider_id = named.provider_id;
        config.identity.endpoint_id = named.endpoint_id;
    }
    if !flags.workspaces.is_empty() {
        config.identity.workspace_ids.clone_from(&flags.workspaces);
    }
    Ok(config)
}

fn board(flags: &Flags, config: &Config) -> anyhow::Result<Arc<Board>> {
    let env = std::env::var("MEETYOU_RPI_FAKE_GPIO");
    let faked =
        flags.simulate_gpio || env.is_ok_and(|value| matches!(value.trim(), "1" | "true" | "yes" | "on"));
    let asked = flags.gpio.as_deref().or(config.gpio_backend.as_deref()).filter(|_| !faked);
    let name = asked.unwrap_or("simulated");
    if name == "simulated" && !faked {
        tracing::warn!("the pins are simulated, nothing is switched; --gpio gpiocdev reaches the real ones");
    }
    let backend = gpio::open(name, &config.gpio_chip)?;
    tracing::info!(backend = name, pins = ?config.allowed_pins, devices = config.devices.len(), "pins");
    Ok(Board::new(backend, config.allowed_pins.iter().copied(), config.off_levels()))
}

async fn check(flags: &Flags, config: &Config) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    for remark in &config.remarks {
        report.add(Finding::Doubtful, "config", remark.as_str());
    }
    let count = config.devices.len();
    let text = format!("{}, pins {:?}, devices: {count}", config.identity.endpoint_id, config.allowed_pins);
    report.add(Finding::Good, "config", text);
    match board(flags, config) {
        Ok(board) if board.backend() == "simulated" => {
            report.add(Finding::Doubtful, "pins", "simulated: nothing is switched");
        }
        Ok(board) => report.add(Finding::Good, "pins", board.backend()),
        Err(error) => report.add(Finding::Bad, "pins", format!("{error:#}")),
    }
    if !config.shell.templates.is_empty() {
        let folder = config.shell.sandbox_dir.display().to_string();
        let made = std::fs::create_dir_all(&config.shell.sandbox_dir);
        report.result("sandbox", made.map_err(|error| format!("{folder}: {error}")).map(|()| folder));
    }
    match provider(flags, config, Tools::new()) {
        Ok(provider) => {
            report.add(Finding::Good, "token", "found");
            provider.check(&mut report).await;
        }
        Err(error) => report.add(Finding::Bad, "token", format!("{error:#}")),
    }
    write!(std::io::stdout(), "{report}")?;
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The first that is there: the flag, the environment, the file.
fn token(flags: &Flags, config: &Config) -> anyhow::Result<Token> {
    let file = flags.token_file.as_deref().or(config.token_file.as_deref());
    let names = [
        "BERTH_ACCESS_TOKEN",
        "MEETYOU_RPI_ENDPOINT_TOKEN",
        &config.token_env,
        "MEETYOU_CLIENT_ACCESS_TOKEN",
        "MEETYOU_GATEWAY_ACCESS_TOKEN",
    ];
    match (Token::find(file, &names), &config.core_access_token) {
        (Err(berth_provider::NoToken::NotGiven { .. }), Some(token)) => Ok(Token::new(token)),
        (found, _) => found.context("missing_endpoint_token"),
    }
}

async fn simulate(tools: &Tools) -> anyhow::Result<ExitCode> {
    let answers = json!({
        "rpi.echo": tools.call("rpi.echo", json!({ "text": "hello" })).await?,
        "rpi.system.info": tools.call("rpi.system.info", json!({})).await?,
    });
    writeln!(std::io::stdout(), "{answers:#}")?;
    Ok(ExitCode::SUCCESS)
}
