//! `wasi:keyvalue`, in the two drafts that tool chains import.

use std::future::Future;
use std::sync::Arc;

use berth_model::PluginId;
use wasmtime::component::{HasSelf, Linker, Resource};

use crate::call::state::PluginState;
use crate::capability::keyvalue::{
    self, Cursor, KeyvalueError, KeyvalueStore, PAGE, Place, Quota, Seen, Use, check_keys, covers, wanted,
};
use crate::capability::{Capability, CapabilityError};

/// An open bucket of a guest. Every use of it asks for the grant again.
pub struct Bucket {
    name: String,
}

/// A pair as a guest saw it, which it wants to swap.
pub struct Cas {
    bucket: String,
    key: String,
    seen: Seen,
}

mod draft {
    wasmtime::component::bindgen!({
        path: "src/wit/wasi/keyvalue-draft.wit",
        world: "wasi:keyvalue/imports",
        imports: { default: async | trappable },
        with: { "wasi:keyvalue/store.bucket": super::Bucket },
        require_store_data_send: true,
    });
}

mod draft2 {
    wasmtime::component::bindgen!({
        path: "src/wit/wasi/keyvalue-draft2.wit",
        world: "wasi:keyvalue/imports",
        imports: { default: async | trappable },
        with: {
            "wasi:keyvalue/store.bucket": super::Bucket,
            "wasi:keyvalue/atomics.cas": super::Cas,
        },
        require_store_data_send: true,
    });
}

use draft::wasi::keyvalue as old;
use draft2::wasi::keyvalue as new;

pub(super) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    old::store::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)?;
    old::atomics::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)?;
    old::batch::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)?;
    new::store::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)?;
    new::atomics::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)?;
    new::batch::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)
}

type Answer<T> = wasmtime::Result<Result<T, KeyvalueError>>;

/// What both drafts do alike. A handle that is no bucket ends the guest; everything else is a value for it.
impl PluginState {
    async fn bucket_open(&mut self, identifier: &str) -> Answer<Resource<Bucket>> {
        self.count_host_call();
        let name = match keyvalue::bucket(identifier) {
            Ok(name) => name,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(denied) = self.bucket_allowed(&name, Use::Read).await {
            return Ok(Err(denied));
        }
        Ok(Ok(self.resources().push(Bucket { name })?))
    }

    async fn bucket_allowed(&mut self, name: &str, way: Use) -> Result<(), KeyvalueError> {
        self.authorize(Capability::Keyvalue, wanted(name, way), |scope| covers(scope, name, way))
            .await
            .map_err(KeyvalueError::Denied)
    }

    /// Does one thing in the bucket `name` when it is granted, until the call is cancelled.
    async fn in_bucket<T, F>(
        &mut self,
        name: &str,
        way: Use,
        work: impl FnOnce(Arc<dyn KeyvalueStore>, Place) -> F,
    ) -> Result<T, KeyvalueError>
    where
        F: Future<Output = Result<T, KeyvalueError>>,
    {
        self.bucket_allowed(name, way).await?;
        let plugin = PluginId::new(self.grants().plugin()).map_err(|_| KeyvalueError::Nowhere)?;
        let workspace = self.call_context().workspace.clone();
        let limit = self.grants().limit(Capability::Keyvalue, |scope| covers(scope, name, way));
        let place = Place { plugin, workspace, bucket: name.to_owned(), quota: Quota::of(&limit) };
        let cancel = self.cancel().clone();
        let work = work(self.services().keyvalue.clone(), place);
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(KeyvalueError::Cancelled),
            done = work => done,
        }
    }

    fn bucket_name(&mut self, bucket: &Resource<Bucket>) -> wasmtime::Result<String> {
        self.count_host_call();
        Ok(self.resources().get(bucket)?.name.clone())
    }

    async fn pairs_get(
        &mut self,
        bucket: &Resource<Bucket>,
        keys: Vec<String>,
    ) -> Answer<Vec<Option<Vec<u8>>>> {
        let name = self.bucket_name(bucket)?;
        if let Err(error) = check_keys(keys.iter()) {
            return Ok(Err(error));
        }
        Ok(self
            .in_bucket(&name, Use::Read, |pairs, place| async move { pairs.get(&place, &keys).await })
            .await)
    }

    async fn pair_get(&mut self, bucket: &Resource<Bucket>, key: String) -> Answer<Option<Vec<u8>>> {
        Ok(self.pairs_get(bucket, vec![key]).await?.map(|values| values.into_iter().next().flatten()))
    }

    async fn pairs_set(&mut self, bucket: &Resource<Bucket>, pairs: Vec<(String, Vec<u8>)>) -> Answer<()> {
        let name = self.bucket_name(bucket)?;
        if let Err(error) = check_keys(pairs.iter().map(|(key, _)| key)) {
            return Ok(Err(error));
        }
        Ok(self
            .in_bucket(&name, Use::Write, |store, place| async move { store.set(&place, &pairs).await })
            .await)
    }

    async fn pairs_remove(&mut self, bucket: &Resource<Bucket>, keys: Vec<String>) -> Answer<()> {
        let name = self.bucket_name(bucket)?;
        if let Err(error) = check_keys(keys.iter()) {
            return Ok(Err(error));
        }
        Ok(self
            .in_bucket(&name, Use::Write, |store, place| async move { store.remove(&place, &keys).await })
            .await)
    }

    async fn keys_list(&mut self, bucket: &Resource<Bucket>, from: Cursor) -> Answer<Vec<String>> {
        let name = self.bucket_name(bucket)?;
        Ok(self
            .in_bucket(&name, Use::Read, |store, place| async move { store.keys(&place, &from).await })
            .await)
    }

    async fn number_add(
        &mut self,
        bucket: &Resource<Bucket>,
        key: String,
        delta: i128,
        range: (i128, i128),
    ) -> Answer<i128> {
        let name = self.bucket_name(bucket)?;
        if let Err(error) = check_keys([&key].into_iter()) {
            return Ok(Err(error));
        }
        Ok(self
            .in_bucket(&name, Use::Write, |store, place| async move {
                store.increment(&place, &key, delta, range).await
            })
            .await)
    }

    /// The words of an error for the guest; a denial also says in the log what would have to be granted.
    fn keyvalue_refusal(&mut self, error: KeyvalueError) -> Refusal {
        match error {
            KeyvalueError::Bucket { .. } => Refusal::NoSuchStore,
            KeyvalueError::Denied(denied) if is_denial(&denied) => {
                self.logs().note(&denied.message);
                Refusal::AccessDenied
            }
            other => Refusal::Other(other.to_string()),
        }
    }
}

fn is_denial(error: &CapabilityError) -> bool {
    error.code == "PERMISSION_DENIED"
}

/// The cases that the errors of both drafts have.
enum Refusal {
    NoSuchStore,
    AccessDenied,
    Other(String),
}

macro_rules! refusal_into {
    ($($error:ty),+) => {
        $(impl From<Refusal> for $error {
            fn from(refusal: Refusal) -> Self {
                match refusal {
                    Refusal::NoSuchStore => Self::NoSuchStore,
                    Refusal::AccessDenied => Self::AccessDenied,
                    Refusal::Other(text) => Self::Other(text),
                }
            }
        })+
    };
}

refusal_into!(old::store::Error, new::store::Error);

/// What the drafts spell alike.
macro_rules! alike {
    ($draft:ident, $cursor:ty, $from:expr, $next:expr) => {
        impl $draft::store::Host for PluginState {
            async fn open(
                &mut self,
                identifier: String,
            ) -> wasmtime::Result<Result<Resource<Bucket>, $draft::store::Error>> {
                let opened = self.bucket_open(&identifier).await?;
                Ok(opened.map_err(|error| self.keyvalue_refusal(error).into()))
            }
        }

        impl $draft::store::HostBucket for PluginState {
            async fn get(
                &mut self,
                bucket: Resource<Bucket>,
                key: String,
            ) -> wasmtime::Result<Result<Option<Vec<u8>>, $draft::store::Error>> {
                let value = self.pair_get(&bucket, key).await?;
                Ok(value.map_err(|error| self.keyvalue_refusal(error).into()))
            }

            async fn set(
                &mut self,
                bucket: Resource<Bucket>,
                key: String,
                value: Vec<u8>,
            ) -> wasmtime::Result<Result<(), $draft::store::Error>> {
                let set = self.pairs_set(&bucket, vec![(key, value)]).await?;
                Ok(set.map_err(|error| self.keyvalue_refusal(error).into()))
            }

            async fn delete(
                &mut self,
                bucket: Resource<Bucket>,
                key: String,
            ) -> wasmtime::Result<Result<(), $draft::store::Error>> {
                let removed = self.pairs_remove(&bucket, vec![key]).await?;
                Ok(removed.map_err(|error| self.keyvalue_refusal(error).into()))
            }

            async fn exists(
                &mut self,
                bucket: Resource<Bucket>,
                key: String,
            ) -> wasmtime::Result<Result<bool, $draft::store::Error>> {
                let value = self.pair_get(&bucket, key).await?;
                Ok(value.map(|value| value.is_some()).map_err(|error| self.keyvalue_refusal(error).into()))
            }

            async fn list_keys(
                &mut self,
                bucket: Resource<Bucket>,
                cursor: Option<$cursor>,
            ) -> wasmtime::Result<Result<$draft::store::KeyResponse, $draft::store::Error>> {
                let from: Cursor = $from(&cursor);
                let listed = self.keys_list(&bucket, from).await?;
                Ok(match listed {
                    Ok(keys) => {
                        // A page that is not full is the last one.
                        let cursor = if keys.len() < PAGE { None } else { $next(&cursor, &keys) };
                        Ok($draft::store::KeyResponse { keys, cursor })
                    }
                    Err(error) => Err(self.keyvalue_refusal(error).into()),
                })
            }

            async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
                self.resources().delete(bucket)?;
                Ok(())
            }
        }
    };
}

alike!(old, u64, |cursor: &Option<u64>| cursor.map_or(Cursor::Start, Cursor::Number), |cursor: &Option<
    u64,
>,
                                                                                       keys: &Vec<
    String,
>| {
    u64::try_from(keys.len()).ok().and_then(|more| cursor.unwrap_or(0).checked_add(more))
});
alike!(
    new,
    String,
    |cursor: &Option<String>| cursor.clone().map_or(Cursor::Start, Cursor::Behind),
    |_: &Option<String>, keys: &Vec<String>| keys.last().cloned()
);

macro_rules! batches {
    ($draft:ident, $found:ty, $paired:expr) => {
        impl $draft::batch::Host for PluginState {
            async fn get_many(
                &mut self,
                bucket: Resource<Bucket>,
                keys: Vec<String>,
            ) -> wasmtime::Result<Result<Vec<$found>, $draft::store::Error>> {
                let values = self.pairs_get(&bucket, keys.clone()).await?;
                Ok(values
                    .map(|values| keys.into_iter().zip(values).map($paired).collect())
                    .map_err(|error| self.keyvalue_refusal(error).into()))
            }

            async fn set_many(
                &mut self,
                bucket: Resource<Bucket>,
                key_values: Vec<(String, Vec<u8>)>,
            ) -> wasmtime::Result<Result<(), $draft::store::Error>> {
                let set = self.pairs_set(&bucket, key_values).await?;
                Ok(set.map_err(|error| self.keyvalue_refusal(error).into()))
            }

            async fn delete_many(
                &mut self,
                bucket: Resource<Bucket>,
                keys: Vec<String>,
            ) -> wasmtime::Result<Result<(), $draft::store::Error>> {
                let removed = self.pairs_remove(&bucket, keys).await?;
                Ok(removed.map_err(|error| self.keyvalue_refusal(error).into()))
            }
        }
    };
}

batches!(old, Option<(String, Vec<u8>)>, |(key, value): (String, Option<Vec<u8>>)| value
    .map(|value| (key, value)));
batches!(new, (String, Option<Vec<u8>>), |pair| pair);

impl old::atomics::Host for PluginState {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: u64,
    ) -> wasmtime::Result<Result<u64, old::store::Error>> {
        let sum = self.number_add(&bucket, key, delta.into(), (0, u64::MAX.into())).await?;
        // The range makes it fit.
        let sum = sum.map(|sum| u64::try_from(sum).unwrap_or(u64::MAX));
        Ok(sum.map_err(|error| self.keyvalue_refusal(error).into()))
    }
}

impl new::atomics::Host for PluginState {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: i64,
    ) -> wasmtime::Result<Result<i64, new::store::Error>> {
        let sum = self.number_add(&bucket, key, delta.into(), (i64::MIN.into(), i64::MAX.into())).await?;
        let sum = sum.map(|sum| i64::try_from(sum).unwrap_or(i64::MAX));
        Ok(sum.map_err(|error| self.keyvalue_refusal(error).into()))
    }

    async fn swap(
        &mut self,
        cas: Resource<Cas>,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), new::atomics::CasError>> {
        self.count_host_call();
        let Cas { bucket, key, seen } = self.resources().delete(cas)?;
        let wanted = key.clone();
        let swapped = self
            .in_bucket(&bucket, Use::Write, |store, place| async move {
                store.swap(&place, &wanted, &seen, &value).await
            })
            .await;
        Ok(match swapped {
            Ok(Ok(())) => Ok(()),
            Ok(Err(seen)) => {
                let again = self.resources().push(Cas { bucket, key, seen })?;
                Err(new::atomics::CasError::CasFailed(again))
            }
            Err(error) => Err(new::atomics::CasError::StoreError(self.keyvalue_refusal(error).into())),
        })
    }
}

impl new::atomics::HostCas for PluginState {
    async fn new(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<Resource<Cas>, new::store::Error>> {
        let name = self.bucket_name(&bucket)?;
        if let Err(error) = check_keys([&key].into_iter()) {
            return Ok(Err(self.keyvalue_refusal(error).into()));
        }
        let wanted = key.clone();
        let seen = self
            .in_bucket(&name, Use::Read, |store, place| async move { store.look(&place, &wanted).await })
            .await;
        Ok(match seen {
            Ok(seen) => Ok(self.resources().push(Cas { bucket: name, key, seen })?),
            Err(error) => Err(self.keyvalue_refusal(error).into()),
        })
    }

    async fn current(
        &mut self,
        cas: Resource<Cas>,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, new::store::Error>> {
        self.count_host_call();
        let (name, value) = {
            let cas = self.resources().get(&cas)?;
            (cas.bucket.clone(), cas.seen.value.clone())
        };
        let allowed = self.bucket_allowed(&name, Use::Read).await;
        Ok(allowed.map(|()| value).map_err(|error| self.keyvalue_refusal(error).into()))
    }

    async fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.resources().delete(cas)?;
        Ok(())
    }
}
