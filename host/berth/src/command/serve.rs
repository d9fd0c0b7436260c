//! `berth serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::cli::Global;
use crate::config::Config;
use crate::failure::Failure;
use crate::host::{Host, Settings};
use crate::place::DataDir;
use crate::{harden, output, stop};

const EXAMPLES: &str = "\
Examples:
  berth serve
  berth serve --data /var/lib/berth --listen 127.0.0.1:8787
  berth serve --database postgres://berth@localhost/berth

The host is ready when it prints its address, and GET /health is 200 then. SIGTERM and Ctrl-C stop it within 10 s.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Address and port; BERTH_LISTEN, else server.listen, else 127.0.0.1:8787. Port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The configuration; DIR/berth.toml when absent.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// sqlite:PATH or postgres://…; BERTH_DATABASE, else database.url, else DIR/berth.db.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Install the plugins in this folder that are missing or changed.
    #[arg(long, value_name = "DIR")]
    bundled: Option<PathBuf>,
}

pub async fn run(global: &Global, options: Options) -> Result<(), Failure> {
    harden::keep_memory_private();
    let data = DataDir::find(global.data.clone())?;
    data.create()?;
    let mut config = Config::load(options.config.as_deref(), data.path())?;
    if let Some(listen) = options.listen {
        config.server.listen = listen;
    }
    // Heard from the first moment: a stop during a long migration is a stop.
    let stop = stop::requested()?;
    let settings = Settings {
        data,
        config,
        settings_file: options.config,
        database: options.database,
        bundled: options.bundled,
    };
    let host = tokio::select! {
        host = Host::start(settings) => host?,
        () = stop.cancelled() => return Ok(()),
    };
    let ready = |url: &str| {
        if global.json {
            output::json(&serde_json::json!({ "ready": true, "url": url }));
        } else {
            output::line(&format!("berth is ready at {url}"));
        }
    };
    host.run(stop, ready).await
}
