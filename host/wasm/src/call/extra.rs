//! What a plugin may be asked besides its work: optional exports.
//!
//! They are looked up by name once, when the plugin is loaded. One that is not there is never asked, and costs nothing.

use berth_model::channel::PartOutcome;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use super::resident::Reply;
use super::state::PluginState;
use crate::capability::CapabilityError;
use crate::error::CallError;
use crate::wit::v0_1::WitError;
use crate::wit::v0_1::channel::{Address, Part, outcome_from_wit};
use crate::wit::v0_1::optional::{
    CancelIndices, EditIndices, Finding, HealthIndices, LifecycleIndices, PulseIndices, ReconcileIndices,
};

/// Which optional exports a component has, and where.
pub(crate) struct Extras {
    cancel: Option<CancelIndices>,
    edit: Option<EditIndices>,
    reconcile: Option<ReconcileIndices>,
    pulse: Option<PulseIndices>,
    lifecycle: Option<LifecycleIndices>,
    health: Option<HealthIndices>,
}

/// A question to an optional export.
#[derive(Debug, Clone)]
pub enum Extra {
    /// A call of a tool was ended.
    Cancelled(String),
    /// Another text for a message that was sent.
    Edit {
        address: Address,
        reference: String,
        part: Part,
    },
    Retract {
        address: Address,
        reference: String,
    },
    React {
        address: Address,
        reference: String,
        emoji: String,
        add: bool,
    },
    Typing(Address),
    /// What became of a part.
    Reconcile(String),
    /// What has happened since then, in milliseconds of the Unix epoch.
    Pulse(u64),
    /// Another version has stored what is there.
    Upgrade(String),
    Check,
}

impl Extras {
    pub fn of(pre: &InstancePre<PluginState>) -> Self {
        Self {
            cancel: CancelIndices::new(pre).ok(),
            edit: EditIndices::new(pre).ok(),
            reconcile: ReconcileIndices::new(pre).ok(),
            pulse: PulseIndices::new(pre).ok(),
            lifecycle: LifecycleIndices::new(pre).ok(),
            health: HealthIndices::new(pre).ok(),
        }
    }

    /// Whether the component can end a call elsewhere.
    pub fn cancels(&self) -> bool {
        self.cancel.is_some()
    }

    /// Whether the component can change what it has sent.
    pub fn edits(&self) -> bool {
        self.edit.is_some()
    }

    /// Whether the component can find out what became of a part.
    pub fn reconciles(&self) -> bool {
        self.reconcile.is_some()
    }

    /// Whether the component wants to be asked from time to time.
    pub fn has_pulse(&self) -> bool {
        self.pulse.is_some()
    }

    /// Whether the component takes over what another version has stored.
    pub fn upgrades(&self) -> bool {
        self.lifecycle.is_some()
    }

    /// Whether the component says how it is.
    pub fn checks(&self) -> bool {
        self.health.is_some()
    }
}

impl Extra {
    /// The interface that has the answer, such as `pulse`.
    pub fn interface(&self) -> &'static str {
        match self {
            Self::Cancelled(_) => "tool-cancel",
            Self::Edit { .. } | Self::Retract { .. } | Self::React { .. } | Self::Typing(_) => "channel-edit",
            Self::Reconcile(_) => "reconcile",
            Self::Pulse(_) => "pulse",
            Self::Upgrade(_) => "lifecycle",
            Self::Check => "health",
        }
    }
}

/// What an optional export has answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// It has done what it was asked.
    Done,
    /// What became of a part.
    Part(PartOutcome),
    /// Nothing is new.
    Quiet,
    /// What the owner wants to know.
    Notable(String),
    /// The component has no such export.
    Absent,
}

impl Said {
    /// Of what an instance has answered; a failure of the guest's own is [`CallError::Tool`].
    pub(crate) fn of(reply: Reply) -> Result<Self, CallError> {
        let tool = |error: WitError| CallError::Tool { failure: CapabilityError::from(error).bounded() };
        match reply {
            Reply::Done(done) => done.map(|()| Self::Done).map_err(tool),
            Reply::Reconciled(found) => found.map(Self::Part).map_err(tool),
            Reply::Found(Ok(Finding::Notable(sentence))) => Ok(Self::Notable(sentence)),
            Reply::Found(Ok(_)) => Ok(Self::Quiet),
            Reply::Found(Err(error)) => Err(tool(error)),
            _ => Ok(Self::Absent),
        }
    }
}

/// Asks; [`Reply::Unknown`] when the component has no such export.
pub(super) async fn serve(
    extras: &Extras,
    store: &mut Store<PluginState>,
    instance: &Instance,
    extra: Extra,
) -> wasmtime::Result<Reply> {
    match extra {
        Extra::Cancelled(call) => {
            let Some(cancel) = &extras.cancel else { return Ok(Reply::Unknown) };
            cancel.load(&mut *store, instance)?.call_cancel(store, &call).await?;
            Ok(Reply::Done(Ok(())))
        }
        Extra::Reconcile(key) => {
            let Some(reconcile) = &extras.reconcile else { return Ok(Reply::Unknown) };
            let guest = reconcile.load(&mut *store, instance)?;
            let answer: Result<PartOutcome, _> =
                guest.call_reconcile(store, &key).await?.map(outcome_from_wit);
            Ok(Reply::Reconciled(answer))
        }
        Extra::Pulse(since) => {
            let Some(pulse) = &extras.pulse else { return Ok(Reply::Unknown) };
            Ok(Reply::Found(pulse.load(&mut *store, instance)?.call_pulse(store, since).await?))
        }
        Extra::Upgrade(from) => {
            let Some(lifecycle) = &extras.lifecycle else { return Ok(Reply::Unknown) };
            Ok(Reply::Done(lifecycle.load(&mut *store, instance)?.call_upgrade(store, &from).await?))
        }
        Extra::Check => {
            let Some(health) = &extras.health else { return Ok(Reply::Unknown) };
            Ok(Reply::Done(health.load(&mut *store, instance)?.call_check(store).await?))
        }
        Extra::Edit { .. } | Extra::Retract { .. } | Extra::React { .. } | Extra::Typing(_) => {
            let Some(edit) = &extras.edit else { return Ok(Reply::Unknown) };
            let guest = edit.load(&mut *store, instance)?;
            Ok(Reply::Done(match extra {
                Extra::Edit { address, reference, part } => {
                    guest.call_edit(store, &address, &reference, &part).await?
                }
                Extra::Retract { address, reference } => {
                    guest.call_retract(store, &address, &reference).await?
                }
                Extra::React { address, reference, emoji, add } => {
                    guest.call_react(store, &address, &reference, &emoji, add).await?
                }
                Extra::Typing(address) => guest.call_typing(store, &address).await?,
                _ => return Ok(Reply::Unknown),
            }))
        }
    }
}
