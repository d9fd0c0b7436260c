//! Secrets: handles, and what the host does with them.

use std::time::Duration;

use berth_secrets::operation::aes::{Iv, KeyForm, Padding};
use berth_secrets::operation::sorted;
use berth_secrets::{Found, SecretName};
use serde_json::json;
use wasmtime::component::Resource;

use super::{WitError, wit};
use crate::call::state::PluginState;
use crate::capability::secret::exchange::{Exchanged, Recipe, exchange};
use crate::capability::secret::uses::{Guess, Operation, Uses};
use crate::capability::secret::{self, Handle};
use crate::capability::{Capability, CapabilityError};
use wit::secrets as shown;

type Answer<T> = wasmtime::Result<Result<T, WitError>>;

impl PluginState {
    /// Finds a secret for one operation, which its grant must cover at this moment; one from an exchange needs the
    /// grant of what it was paid with as well.
    async fn secret(&mut self, name: &SecretName, operation: &str) -> Result<Found, CapabilityError> {
        let wanted = secret::wanted_operation(name, operation);
        self.authorize_secret(wanted.clone()).await?;
        let _counted = self.throttled(Capability::Secret, |scope| secret::covers(scope, &wanted))?;
        let found = self.find_secret(name).await?;
        if let Some(derived) = &found.derived {
            self.authorize_secret(secret::wanted_operation(&derived.name, "exchange")).await?;
        }
        Ok(found)
    }

    async fn authorize_secret(&mut self, wanted: serde_json::Value) -> Result<(), CapabilityError> {
        let asked = wanted.clone();
        self.authorize(Capability::Secret, wanted, move |scope| secret::covers(scope, &asked)).await
    }

    /// Ends when the call does.
    async fn find_secret(&mut self, name: &SecretName) -> Result<Found, CapabilityError> {
        let (desk, view, context) =
            (self.services().secrets.clone(), self.grants(), self.call_context().clone());
        let asker = secret::asker(view.plugin(), context.workspace.as_ref());
        let uses = Uses { desk: &desk, asker };
        let cancel = self.cancel().clone();
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(CapabilityError::cancelled()),
            found = uses.find(name) => Ok(found?),
        }
    }

    async fn carry_out(
        &mut self,
        handle: &Resource<Handle>,
        operation: Result<Operation<'_>, CapabilityError>,
    ) -> Answer<Vec<u8>> {
        self.count_host_call();
        let name = self.resources().get(handle)?.name.clone();
        let done = async {
            let operation = operation?;
            let found = self.secret(&name, operation.word()).await?;
            operation.on(&found.value).map_err(CapabilityError::from)
        };
        Ok(done.await.map_err(WitError::from))
    }

    async fn exchanged(
        &mut self,
        with: &SecretName,
        recipe: Recipe,
    ) -> Result<(SecretName, Exchanged), CapabilityError> {
        recipe.check(with)?;
        let found = self.secret(with, "exchange").await?;
        if found.derived.is_some() {
            let message = "a secret from an exchange is exchanged for no other";
            return Err(CapabilityError::new("EXCHANGE_RECIPE_INVALID", message));
        }
        self.authorize_secret(secret::wanted_name(&recipe.name)).await?;
        // The token goes where the secret may go, and nowhere else.
        let audience = json!({ "id": with.as_str(), "audience": recipe.audience });
        self.authorize_secret(audience).await?;
        let (desk, view, context) =
            (self.services().secrets.clone(), self.grants(), self.call_context().clone());
        let asker = secret::asker(view.plugin(), context.workspace.as_ref());
        let (broker, caller) = self.egress().0.caller();
        let name = recipe.name.clone();
        let cancel = self.cancel().clone();
        let exchanged = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(CapabilityError::cancelled()),
            exchanged = exchange(&broker, &caller, &desk, asker, with, recipe) => exchanged,
        };
        Ok((name, exchanged?))
    }

    async fn answer(&mut self, handle: &Resource<Handle>, guess: Guess<'_>) -> Answer<bool> {
        self.count_host_call();
        let name = self.resources().get(handle)?.name.clone();
        let answered = async {
            let found = self.secret(&name, guess.word()).await?;
            let (desk, view, context) =
                (self.services().secrets.clone(), self.grants(), self.call_context().clone());
            let asker = secret::asker(view.plugin(), context.workspace.as_ref());
            Uses { desk: &desk, asker }.answer(&name, &found, guess)
        };
        Ok(answered.await.map_err(WitError::from))
    }
}

impl shown::Host for PluginState {
    async fn open(&mut self, name: String) -> Answer<Resource<Handle>> {
        self.count_host_call();
        let opened = async {
            let name = secret::name(&name)?;
            // Whoever has no grant does not learn which secrets there are.
            self.authorize_secret(secret::wanted_name(&name)).await?;
            self.find_secret(&name).await?;
            Ok::<SecretName, CapabilityError>(name)
        };
        match opened.await {
            Ok(name) => Ok(Ok(self.resources().push(Handle { name })?)),
            Err(error) => Ok(Err(WitError::from(error))),
        }
    }
}

impl shown::HostSecret for PluginState {
    fn name(&mut self, this: Resource<Handle>) -> wasmtime::Result<String> {
        self.count_host_call();
        Ok(self.resources().get(&this)?.name.to_string())
    }

    async fn hmac_sha256(&mut self, this: Resource<Handle>, data: Vec<u8>) -> Answer<Vec<u8>> {
        self.carry_out(&this, Ok(Operation::HmacSha256 { data: &data })).await
    }

    async fn sign_ed25519(&mut self, this: Resource<Handle>, data: Vec<u8>) -> Answer<Vec<u8>> {
        self.carry_out(&this, Ok(Operation::SignEd25519 { data: &data })).await
    }

    async fn sha256_joined(
        &mut self,
        this: Resource<Handle>,
        before: Vec<u8>,
        after: Vec<u8>,
    ) -> Answer<Vec<u8>> {
        self.carry_out(&this, Ok(Operation::Sha256Joined { before: &before, after: &after })).await
    }

    async fn sha1_sorted(&mut self, this: Resource<Handle>, texts: Vec<String>) -> Answer<shown::Signed> {
        self.count_host_call();
        let name = self.resources().get(&this)?.name.clone();
        let signed = async {
            let found = self.secret(&name, "sha1-sorted").await?;
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let seconds = self.now().as_micros().div_euclid(1_000_000);
            sorted::sign(&found.value, &texts, seconds).map_err(CapabilityError::from)
        };
        Ok(signed.await.map_err(WitError::from).map(|signed| shown::Signed {
            timestamp: signed.timestamp,
            nonce: signed.nonce,
            signature: signed.signature,
            meta: Vec::new(),
        }))
    }

    async fn check_sha1_sorted(
        &mut self,
        this: Resource<Handle>,
        texts: Vec<String>,
        signature: String,
    ) -> Answer<bool> {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        self.answer(&this, Guess::Sha1Sorted { texts: &texts, signature: &signature }).await
    }

    async fn equals(&mut self, this: Resource<Handle>, guess: Vec<u8>) -> Answer<bool> {
        self.answer(&this, Guess::Equals { guess: &guess }).await
    }

    async fn aes_cbc_decrypt(
        &mut self,
        this: Resource<Handle>,
        sealed: Vec<u8>,
        key: shown::KeyForm,
        iv: shown::Iv,
        padding: shown::Padding,
    ) -> Answer<Vec<u8>> {
        let operation = options(&key, &padding).and_then(|(key, padding)| {
            Ok(Operation::CbcDecrypt { sealed: &sealed, key, iv: iv_of(&iv)?, padding })
        });
        self.carry_out(&this, operation).await
    }

    async fn aes_cbc_encrypt(
        &mut self,
        this: Resource<Handle>,
        text: Vec<u8>,
        key: shown::KeyForm,
        iv: shown::Iv,
        padding: shown::Padding,
    ) -> Answer<Vec<u8>> {
        let operation = options(&key, &padding).and_then(|(key, padding)| {
            Ok(Operation::CbcEncrypt { text: &text, key, iv: iv_of(&iv)?, padding })
        });
        self.carry_out(&this, operation).await
    }

    async fn aes_ecb_decrypt(
        &mut self,
        this: Resource<Handle>,
        sealed: Vec<u8>,
        key: shown::KeyForm,
        padding: shown::Padding,
    ) -> Answer<Vec<u8>> {
        let operation = options(&key, &padding).map(|(key, padding)| Operation::EcbDecrypt {
            sealed: &sealed,
            key,
            padding,
        });
        self.carry_out(&this, operation).await
    }

    async fn aes_ecb_encrypt(
        &mut self,
        this: Resource<Handle>,
        text: Vec<u8>,
        key: shown::KeyForm,
        padding: shown::Padding,
    ) -> Answer<Vec<u8>> {
        let operation =
            options(&key, &padding).map(|(key, padding)| Operation::EcbEncrypt { text: &text, key, padding });
        self.carry_out(&this, operation).await
    }

    async fn exchange(&mut self, this: Resource<Handle>, recipe: shown::Recipe) -> Answer<shown::Exchanged> {
        self.count_host_call();
        let with = self.resources().get(&this)?.name.clone();
        let exchanged = match recipe_of(recipe) {
            Ok(recipe) => self.exchanged(&with, recipe).await,
            Err(error) => Err(error),
        };
        let (name, exchanged) = match exchanged {
            Ok(exchanged) => exchanged,
            Err(error) => return Ok(Err(error.into())),
        };
        let left = exchanged.expires_at.saturating_sub(self.services().secrets.vault().now());
        Ok(Ok(shown::Exchanged {
            secret: self.resources().push(Handle { name })?,
            expires_in_ms: u64::try_from(left / 1000).unwrap_or(0),
            status: exchanged.status,
            answer: exchanged.answer.to_string(),
            meta: Vec::new(),
        }))
    }

    fn drop(&mut self, this: Resource<Handle>) -> wasmtime::Result<()> {
        self.resources().delete(this)?;
        Ok(())
    }
}

/// A token may go where its request went when the recipe names no audience.
fn recipe_of(recipe: shown::Recipe) -> Result<Recipe, CapabilityError> {
    let audience = if recipe.audience.is_empty() {
        let target = berth_broker::Target::parse(&recipe.url)
            .map_err(|error| CapabilityError::new("EXCHANGE_RECIPE_INVALID", error.to_string()))?;
        vec![target.origin().to_string()]
    } else {
        recipe.audience
    };
    Ok(Recipe {
        name: secret::name(&recipe.name)?,
        method: recipe.method,
        url: recipe.url,
        headers: recipe.headers,
        body: recipe.body,
        token: recipe.token,
        expires: recipe.expires,
        lifetime: recipe.lifetime_ms.map(Duration::from_millis),
        audience,
    })
}

fn options(key: &shown::KeyForm, padding: &shown::Padding) -> Result<(KeyForm, Padding), CapabilityError> {
    let key = match key {
        shown::KeyForm::Raw => KeyForm::Raw,
        shown::KeyForm::Sha256 => KeyForm::Sha256,
        shown::KeyForm::Base64 => KeyForm::Base64,
        shown::KeyForm::Hex => KeyForm::Hex,
        shown::KeyForm::Other(word) => return Err(unknown("form of a key", word)),
    };
    let padding = match padding {
        shown::Padding::Pkcs7 => Padding::Pkcs7,
        shown::Padding::Pkcs7Wide => Padding::Pkcs7Wide,
        shown::Padding::None => Padding::None,
        shown::Padding::Other(word) => return Err(unknown("padding", word)),
    };
    Ok((key, padding))
}

fn iv_of(iv: &shown::Iv) -> Result<Iv<'_>, CapabilityError> {
    match iv {
        shown::Iv::Given(bytes) => Ok(Iv::Given(bytes)),
        shown::Iv::Prefix => Ok(Iv::Prefix),
        shown::Iv::FromKey => Ok(Iv::FromKey),
        shown::Iv::Other(word) => Err(unknown("IV", word)),
    }
}

fn unknown(what: &str, word: &str) -> CapabilityError {
    let word: String = word.chars().take(40).collect();
    CapabilityError::new("SECRET_INPUT_INVALID", format!("`{word}` is no {what} that this host knows"))
}
