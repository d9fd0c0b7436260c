//! `berth plugin`.

mod audit;
mod build;
mod call;
mod consent;
mod dev;
mod events;
mod grant;
mod hints;
mod install;
mod key;
mod life;
mod new;
mod pack;
mod sent;
mod show;
mod signature;
mod test;
mod transfer;
mod verify;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::client::{Client, segment};
use crate::failure::Failure;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  berth plugin new tally --lang rust
  berth plugin build tally
  berth plugin test ./tally
  berth plugin pack ./tally --key publisher.key
  berth plugin verify tally-0.1.0.berth
  berth plugin install tally-0.1.0.berth
  berth plugin list
  berth plugin show files
  berth plugin grant files files --folder ~/notes --write --reason 'keep my notes'
  berth plugin revoke grant_…
  berth plugin call clock_now '{\"zone\": \"Asia/Tokyo\"}'";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

/// The id of a plugin.
#[derive(Debug, Args)]
struct Plugin {
    /// The id of the plugin.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    id: String,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Begin a plugin: a folder that builds, tests and installs as it is.
    New(new::Options),
    /// Build a plugin with the tool chain of its language, and show the tools in it.
    Build(build::Options),
    /// Build after each change, put the plugin into the running host, and follow its log.
    Dev(dev::Options),
    /// Tell a plugin the stories of its folder, in the real engine and without a host.
    Test(test::Options),
    /// Pack the folder of a plugin into one .berth file; the same folder gives the same bytes.
    Pack(pack::Options),
    /// Check every byte of a .berth file, its signature and its publisher, without a host or a network.
    Verify(verify::Options),
    /// Make and show the keys that packages are signed with.
    Key(key::Options),
    /// Put a .berth file into an OCI registry, in a form that other tools for components can pull.
    Push(transfer::Push),
    /// Fetch a .berth file from an OCI registry and check every byte of it.
    Pull(transfer::Pull),
    /// Install from a folder with a plugin.toml, from a .berth file, from a .wasm that has a plugin.toml beside it, or from
    /// a place in an OCI registry.
    ///
    /// Of a plugin that is there it is the next version; its grants stay. The path is one on the disk of the host.
    Install(install::Options),
    /// Put the next version of a plugin in place, or answer the one that waits for consent.
    Upgrade(life::Upgrade),
    /// Put an earlier version of a plugin in place again.
    Rollback(life::Rollback),
    /// Let a quarantined plugin take calls again.
    #[command(after_help = "Examples:\n  berth plugin resume tally")]
    Resume(Plugin),
    /// List the versions of a plugin and where each stands.
    #[command(after_help = "Examples:\n  berth plugin generations tally")]
    Generations(Plugin),
    /// List the installed plugins.
    #[command(
        after_help = "Examples:\n  berth plugin list\n  berth plugin list --json | jq -r '.[].plugin_id'"
    )]
    List,
    /// Show a plugin: its tools, what it asks for, what it was granted.
    #[command(
        after_help = "Examples:\n  berth plugin show files\n  berth plugin show files --json | jq .usage"
    )]
    Show(Plugin),
    /// Allow a plugin a capability, or deny it one.
    Grant(Box<grant::Options>),
    /// Take a grant back; calls under way lose it at their next use.
    #[command(after_help = "Examples:\n  berth plugin revoke grant_…")]
    Revoke {
        /// The id of the grant, from `berth plugin show`.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        grant_id: String,
    },
    /// Print what a plugin was denied, and what it did that changed something.
    Audit(audit::Options),
    /// Print the smallest manifest for what a plugin was seen to use.
    #[command(after_help = "Examples:\n  berth plugin suggest files")]
    Suggest(Plugin),
    /// Let a plugin take calls; loads it anew when it had failed.
    #[command(after_help = "Examples:\n  berth plugin enable files")]
    Enable(Plugin),
    /// Stop a plugin from taking calls; calls under way end by themselves.
    #[command(after_help = "Examples:\n  berth plugin disable files")]
    Disable(Plugin),
    /// Remove a plugin; its grants and its key-value pairs stay, for the day it comes back.
    Remove(life::Remove),
    /// Print what a plugin said lately on its standard output and error.
    #[command(after_help = "Examples:\n  berth plugin logs files")]
    Logs(Plugin),
    /// Call a tool as the owner, and print what it answers.
    Call(call::Options),
    /// Show a channel at work: the paths of its web addresses, what waits.
    #[command(after_help = "Examples:\n  berth plugin channel mychat")]
    Channel(Plugin),
    /// List what a channel has sent, change a message, take it back, or react to it.
    Deliveries(sent::Options),
    /// Ask a plugin whether it could do its work now.
    #[command(after_help = "Examples:\n  berth plugin doctor mychat")]
    Doctor(Plugin),
    /// List the events that a channel could not deal with, hand one over again, or forget it.
    Events(events::Options),
}

impl Action {
    /// The id of the plugin that it is about, where it names one that is installed.
    fn plugin(&self) -> Option<&str> {
        Some(match self {
            Self::Resume(Plugin { id })
            | Self::Generations(Plugin { id })
            | Self::Show(Plugin { id })
            | Self::Suggest(Plugin { id })
            | Self::Enable(Plugin { id })
            | Self::Disable(Plugin { id })
            | Self::Logs(Plugin { id })
            | Self::Channel(Plugin { id })
            | Self::Doctor(Plugin { id }) => id,
            Self::Upgrade(options) => &options.id,
            Self::Rollback(options) => &options.id,
            Self::Remove(options) => &options.id,
            Self::Audit(options) => &options.id,
            Self::Deliveries(options) => &options.id,
            Self::Events(options) => &options.id,
            _ => return None,
        })
    }
}

pub async fn run(global: &Global, options: Options) -> Result<(), Failure> {
    match options.action {
        Action::Test(options) => test::run(global, &options).await,
        Action::New(options) => new::run(global, &options),
        Action::Build(options) => build::run(global, options).await,
        Action::Pack(options) => pack::run(global, &options),
        Action::Verify(options) => verify::run(global, &options),
        Action::Key(options) => key::run(global, &options),
        Action::Push(options) => transfer::push(global, &options).await,
        Action::Pull(options) => transfer::pull(global, &options).await,
        action => with_host(global, action).await,
    }
}

async fn with_host(global: &Global, action: Action) -> Result<(), Failure> {
    let client = Client::find(global)?;
    let id = action.plugin().map(str::to_owned);
    match at_host(global, &client, action).await {
        Ok(()) => Ok(()),
        Err(failure) => Err(hints::explained(&client, id.as_deref(), failure).await),
    }
}

async fn at_host(global: &Global, client: &Client, action: Action) -> Result<(), Failure> {
    match action {
        // They need no host.
        Action::New(_) | Action::Build(_) | Action::Pack(_) | Action::Verify(_) | Action::Key(_) => Ok(()),
        Action::Test(_) | Action::Push(_) | Action::Pull(_) => Ok(()),
        Action::Dev(options) => dev::run(global, client, options).await,
        Action::Install(options) => install::run(global, client, &options).await,
        Action::Upgrade(options) => life::upgrade(global, client, options).await,
        Action::Rollback(options) => life::rollback(global, client, options).await,
        Action::Resume(Plugin { id }) => {
            let answer = client.post_and_wait(&path_of(&id, "/resume"), &json!({})).await?;
            report(global, &answer, &format!("{id} takes calls"));
            Ok(())
        }
        Action::Generations(Plugin { id }) => life::generations(global, client, &id).await,
        Action::List => show::list(global, client).await,
        Action::Show(Plugin { id }) => show::one(global, client, &id).await,
        Action::Grant(options) => grant::run(global, client, *options).await,
        Action::Revoke { grant_id } => {
            let path = format!("/operator/grants/{}/revoke", segment(&grant_id));
            let answer = client.post(&path, &json!({})).await?;
            report(global, &answer, &format!("{grant_id} is revoked"));
            Ok(())
        }
        Action::Audit(options) => audit::run(global, client, options).await,
        Action::Suggest(Plugin { id }) => audit::suggest(global, client, &id).await,
        Action::Enable(Plugin { id }) => {
            let answer = client.post_and_wait(&path_of(&id, "/enable"), &json!({})).await?;
            report(global, &answer, &format!("{id} takes calls"));
            Ok(())
        }
        Action::Disable(Plugin { id }) => {
            let answer = client.post(&path_of(&id, "/disable"), &json!({})).await?;
            report(global, &answer, &format!("{id} takes no calls"));
            Ok(())
        }
        Action::Remove(options) => life::remove(global, client, &options).await,
        Action::Logs(Plugin { id }) => show::logs(global, client, &id).await,
        Action::Call(options) => call::run(global, client, options).await,
        Action::Channel(Plugin { id }) => events::channel(global, client, &id).await,
        Action::Deliveries(options) => sent::run(global, client, options).await,
        Action::Doctor(Plugin { id }) => sent::doctor(global, client, &id).await,
        Action::Events(options) => events::run(global, client, options).await,
    }
}

fn path_of(id: &str, tail: &str) -> String {
    format!("/operator/plugins/{}{tail}", segment(id))
}

fn report(global: &Global, answer: &Value, done: &str) {
    if global.json {
        output::json(answer);
    } else {
        output::line(done);
    }
}
