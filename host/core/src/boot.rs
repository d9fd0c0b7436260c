//! The records that are always there. Seeding twice changes nothing, and undoes no operator's edit.

use berth_model::endpoint::Endpoint;
use berth_model::workspace::{DefaultTarget, Governance, Workspace, WorkspaceStatus};
use berth_model::{ActorId, EndpointId, JsonMap, WorkspaceId};
use serde_json::json;

use crate::{Core, CoreError};

/// The workspace of everything that names none.
pub(crate) const PERSONAL: &str = "personal";
/// The host itself, when it asks a plugin how it is or what is new.
const HOST: &str = "system:host";
/// The owner.
pub(crate) const OWNER: &str = "user:self";

pub(crate) async fn seed(core: &Core) -> Result<(), CoreError> {
    let now = core.now();
    let mut tx = core.0.store.write().await?;
    for (id, title, mode, target, providers, profile) in [
        (PERSONAL, "Personal", "general", DefaultTarget::CoreLocal, &[][..], "workspace_local"),
        ("desktop-main", "Desktop", "automation", DefaultTarget::Endpoint, &["desktop"][..], ""),
        ("study", "Study", "general", DefaultTarget::CoreLocal, &[][..], "study_materials"),
        // The Pi's own provider type is `rpi`; older set-ups say `raspi`.
        (
            "home-lab",
            "Home lab",
            "automation",
            DefaultTarget::WorkspaceAnyEndpoint,
            &["rpi", "raspi", "desktop"][..],
            "",
        ),
    ] {
        let governance = Governance {
            preferred_providers: providers.iter().map(|&provider| provider.to_owned()).collect(),
            preferred_source_profiles: Some(profile.to_owned())
                .filter(|name| !name.is_empty())
                .into_iter()
                .collect(),
            ..Governance::open()
        };
        tx.seed_workspace(&Workspace {
            id: WorkspaceId::fixed(id),
            title: title.to_owned(),
            description: String::new(),
            status: WorkspaceStatus::Active,
            base_mode: mode.to_owned(),
            prompt_overlay: String::new(),
            default_target: target,
            governance,
            metadata: JsonMap::new(),
            created_at: now,
            updated_at: now,
        })
        .await?;
    }
    for (id, kind, name) in [
        ("system.scheduler", "system_scheduler", "Scheduler"),
        ("system.heartbeat", "system_heartbeat", "Heartbeat"),
        ("system.maintenance", "system_maintenance", "Maintenance"),
        (HOST, "system_host", "Host"),
        (OWNER, "user", "Self"),
    ] {
        tx.seed_actor(&ActorId::fixed(id), kind, name, now).await?;
    }
    for (id, kind, transport, priority, label) in [
        ("core.local", "core_local", "inproc", 0, "execution_target"),
        ("core.scheduler", "core_scheduler", "inproc", 0, "system_clock"),
        ("core.inbox", "core_inbox", "database", 10, "delivery_sink"),
        ("core.notification", "core_notification", "inproc", 10, "delivery_sink"),
    ] {
        let id = EndpointId::fixed(id);
        if tx.lookup_endpoint(&id).await?.is_none() {
            tx.upsert_endpoint(&Endpoint {
                display_name: id.to_string(),
                id,
                kind: kind.to_owned(),
                provider_type: "core".to_owned(),
                transport: transport.to_owned(),
                status: "active".to_owned(),
                labels: vec!["core".to_owned()],
                priority,
                metadata: JsonMap::from_iter([(label.to_owned(), json!(true))]),
                created_at: now,
                updated_at: now,
            })
            .await?;
        }
    }
    tx.commit().await?;
    Ok(())
}
