//! Calls that wait for the answer of a person.

use async_trait::async_trait;
use berth_model::OperationId;
use berth_model::operation::WaitingCall;

use super::StoreError;

/// What is needed, beside its operation, to run a call again from the start. Removed with the end of the operation.
#[async_trait]
pub trait WaitingCallRepo {
    async fn upsert_waiting_call(&mut self, call: &WaitingCall) -> Result<(), StoreError>;
    async fn lookup_waiting_call(
        &mut self,
        operation: OperationId,
    ) -> Result<Option<WaitingCall>, StoreError>;
    async fn remove_waiting_call(&mut self, operation: OperationId) -> Result<(), StoreError>;
}
