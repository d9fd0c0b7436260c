//! The secrets that a guest names in its requests.

use std::sync::Arc;

use async_trait::async_trait;
use berth_broker::{Origin, OriginPattern, Place, Secret, SecretRefused, SecretSource, SecretValue};

use crate::call::access::Access;
use crate::capability::secret::uses::Uses;
use crate::capability::{Capability, CapabilityError, secret};

/// The secrets of one call. Each placement is asked for by itself.
pub struct PlacedSecrets(pub Access);

impl PlacedSecrets {
    async fn ask(&self, wanted: serde_json::Value) -> Result<(), CapabilityError> {
        let asked = wanted.clone();
        self.0.authorize(Capability::Secret, wanted, move |scope| secret::covers(scope, &asked)).await
    }

    async fn find(&self, name: &str, origin: &Origin, place: &Place) -> Result<Secret, CapabilityError> {
        let name = secret::name(name)?;
        let to = origin.to_string();
        let wanted = secret::wanted_placement(&name, &to, &place.to_string());
        self.ask(wanted.clone()).await?;
        let _counted = self.0.throttled(Capability::Secret, |scope| secret::covers(scope, &wanted))?;
        let view = self.0.view();
        let asker = secret::asker(view.plugin(), self.0.context().workspace.as_ref());
        let found = Uses { desk: &self.0.services().secrets, asker }.find(&name).await?;
        let read = |origin: &str| OriginPattern::parse(origin).ok();
        let audience = match &found.derived {
            None => read(&to).into_iter().collect(),
            Some(derived) => {
                // What an exchange yielded needs the grant of what it was paid with, and goes where that may go.
                self.ask(secret::wanted_operation(&derived.name, "exchange")).await?;
                derived.audience.iter().filter_map(|origin| read(origin)).collect()
            }
        };
        let value = Arc::new(SecretValue::new(found.value.expose().to_vec()));
        Ok(Secret { value, audience, places: vec![place.clone()] })
    }
}

#[async_trait]
impl SecretSource for PlacedSecrets {
    async fn secret(&self, name: &str, origin: &Origin, place: &Place) -> Result<Secret, SecretRefused> {
        self.find(name, origin, place).await.map_err(|error| SecretRefused(error.message))
    }
}
