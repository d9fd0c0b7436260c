//! The grants of a case: what the manifest wishes, unless the story says otherwise.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};

use berth_broker::Target;
use berth_core::port::clock::Clock as _;
use berth_model::plugin::{Grant, GrantMode, NewGrant};
use berth_model::{GrantId, OperationId, Origin, PluginId, Timestamp, WorkspaceId};
use berth_wasm::Manifest;
use berth_wasm::capability::grants::{GrantSource, GrantView, HeldGrant, Request, Subject};
use berth_wasm::capability::{Capability, is_left_open};
use berth_wasm::manifest::json as as_json;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::lock;
use crate::error::KitError;
use crate::story::{Case, GrantFile};
use crate::time::Time;

/// Tells the view that counts, as the registry of a host does.
pub struct Grants {
    plugin: Plugin,
    all: Mutex<Vec<HeldGrant>>,
    generation: watch::Sender<u64>,
    changed: watch::Sender<()>,
    time: Arc<Time>,
}

struct Plugin {
    id: String,
    digest: String,
    version: semver::Version,
    requests: Arc<Vec<Request>>,
    workspace: WorkspaceId,
}

impl Grants {
    /// The grants of `case`; folders of files lie below `folder`.
    pub fn new(
        manifest: &Manifest,
        digest: &str,
        case: &Case,
        folder: &Path,
        time: Arc<Time>,
    ) -> Result<Self, KitError> {
        let plugin = PluginId::new(&manifest.id).map_err(KitError::kit)?;
        let mut wanted = Vec::new();
        for request in &manifest.requests {
            let name = request.capability.as_str();
            let is_said = case.grant.iter().any(|grant| grant.capability == name);
            if is_said || case.without.iter().any(|gone| gone == name) {
                continue;
            }
            for scope in scopes(request, case) {
                wanted.push(NewGrant::allow(plugin.clone(), name, scope));
            }
        }
        for grant in &case.grant {
            wanted.push(said(&plugin, grant)?);
        }
        let now = time.now();
        let grants = wanted.into_iter().enumerate().map(|(at, mut new)| {
            if new.capability == Capability::Files.as_str() {
                add_host(&mut new.scope, folder);
            }
            let id = GrantId::from_uuid(uuid::Uuid::from_u128(at as u128 + 1));
            HeldGrant::from(new.into_grant(id, now))
        });
        let all = grants.collect();
        Ok(Self {
            plugin: Plugin {
                id: manifest.id.clone(),
                digest: digest.to_owned(),
                version: manifest.version.clone(),
                requests: Arc::new(manifest.requests.clone()),
                workspace: WorkspaceId::fixed("test"),
            },
            all: Mutex::new(all),
            generation: watch::Sender::new(1),
            changed: watch::Sender::new(()),
            time,
        })
    }

    /// Takes the grants of a capability back.
    pub fn revoke(&self, capability: &str) {
        let now = self.time.now();
        self.change(|grant| {
            if grant.capability == capability {
                grant.revoked_at = Some(now);
            }
        });
    }

    /// What is left of a grant that is counted.
    pub(crate) fn set_uses(&self, id: GrantId, left: i64) {
        self.change(|grant| {
            if grant.id == id {
                grant.uses_left = Some(left);
            }
        });
    }

    pub(crate) fn counted(&self) -> HashMap<GrantId, i64> {
        let all = lock(&self.all);
        all.iter().filter_map(|held| Some((held.grant.id, held.grant.uses_left?))).collect()
    }

    /// The scopes of grants of requests that allow.
    pub(crate) fn http_scopes(&self) -> Vec<Value> {
        let all = lock(&self.all);
        let http = all.iter().map(|held| &held.grant).filter(|grant| {
            grant.capability == Capability::Http.as_str() && grant.mode.allows() && grant.revoked_at.is_none()
        });
        http.map(|grant| grant.scope.clone()).collect()
    }

    fn change(&self, change: impl Fn(&mut Grant)) {
        let mut all = lock(&self.all);
        for held in all.iter_mut() {
            change(Arc::make_mut(&mut held.grant));
        }
        drop(all);
        self.generation.send_modify(|generation| *generation += 1);
        self.changed.send_replace(());
    }
}

impl GrantSource for Grants {
    fn generation(&self) -> u64 {
        *self.generation.borrow()
    }

    fn view(&self) -> Arc<GrantView> {
        let subject = Subject {
            plugin: &self.plugin.id,
            digest: &self.plugin.digest,
            version: &self.plugin.version,
            publisher: None,
            is_approved: true,
            workspace: &self.plugin.workspace,
            origin: Origin::User,
            run: None,
            operation: OperationId::from_uuid(uuid::Uuid::nil()),
        };
        let generation = self.generation();
        let all = lock(&self.all).clone();
        let view = GrantView::compile(
            generation,
            &subject,
            self.plugin.requests.clone(),
            &all,
            &[],
            self.time.now(),
        );
        Arc::new(view)
    }

    fn changes(&self) -> Option<watch::Receiver<()>> {
        Some(self.changed.subscribe())
    }
}

/// What an operator would grant of a wish. One that leaves its scope open gets what the story has.
fn scopes(request: &Request, case: &Case) -> Vec<Value> {
    if !is_left_open(&request.scope) {
        return vec![request.scope.to_json()];
    }
    let origins: BTreeSet<String> = case
        .http
        .iter()
        .filter_map(|http| Target::parse(&http.url).ok())
        .map(|target| target.origin().to_string())
        .collect();
    match request.capability {
        Capability::Http if origins.is_empty() => Vec::new(),
        Capability::Http => vec![json!({ "hosts": origins })],
        Capability::Process => {
            let programs: BTreeSet<&String> = case.process.iter().map(|process| &process.program).collect();
            if programs.is_empty() { Vec::new() } else { vec![json!({ "programs": programs })] }
        }
        Capability::Secret => case
            .secrets
            .keys()
            .map(|name| match places(case, name) {
                places if places.is_empty() || origins.is_empty() => json!({ "id": name }),
                places => json!({ "id": name, "audience": origins, "place": places }),
            })
            .collect(),
        _ => vec![request.scope.to_json()],
    }
}

/// Where the requests of the story have a secret.
fn places(case: &Case, name: &str) -> BTreeSet<String> {
    let holder = format!("{{{{secret:{name}}}}}");
    let mut places = BTreeSet::new();
    for http in &case.http {
        for (header, value) in &http.headers {
            if value.contains(&holder) {
                places.insert(format!("header:{}", header.to_ascii_lowercase()));
            }
        }
        let (path, query) = http.url.split_once('?').unwrap_or((&http.url, ""));
        if path.contains(&holder) {
            places.insert("path".to_owned());
        }
        for pair in query.split('&').filter(|pair| pair.contains(&holder)) {
            places.insert(format!("query:{}", pair.split('=').next().unwrap_or_default()));
        }
        let body = http.body.as_ref().and_then(|body| serde_json::from_slice(&body.0).ok());
        for body in [body, http.body_wanted()].into_iter().flatten() {
            pointers(&body, &holder, String::new(), &mut places);
        }
    }
    places
}

fn pointers(value: &Value, holder: &str, pointer: String, places: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.contains(holder) => {
            places.insert(format!("json:{pointer}"));
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                pointers(value, holder, format!("{pointer}/{key}"), places);
            }
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                pointers(value, holder, format!("{pointer}/{at}"), places);
            }
        }
        _ => {}
    }
}

fn said(plugin: &PluginId, file: &GrantFile) -> Result<NewGrant, KitError> {
    let mode: GrantMode = file.mode.parse().map_err(|_| {
        KitError::kit(format!("`mode` of a grant is allow, ask, observe or deny, not `{}`", file.mode))
    })?;
    let table = |table: &toml::Table| as_json(toml::Value::Table(table.clone()));
    Ok(NewGrant {
        limit: table(&file.limit),
        mode,
        expires_at: file.expires.map(|at| -> Timestamp { at.0 }),
        uses_left: file.uses,
        ..NewGrant::allow(plugin.clone(), &file.capability, table(&file.scope))
    })
}

/// Names the folder of the machine that stands for the folder of a guest.
fn add_host(scope: &mut Value, folder: &Path) {
    let guest = scope.get("guest").and_then(Value::as_str).unwrap_or("/").to_owned();
    if let Some(object) = scope.as_object_mut() {
        let host = super::files::host_of(folder, &guest);
        object.entry("host").or_insert_with(|| host.display().to_string().into());
    }
}
