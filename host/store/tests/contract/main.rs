//! The contract of core's store port, told to SQLite and to PostgreSQL in the same run.

#![allow(clippy::unwrap_used, reason = "a failed set-up is a failed test")]

mod alone;
mod backfill;
mod channels;
mod fixture;
mod generations;
mod grants;
mod keyvalue;
mod queue;
mod round_trip;
mod rules;
mod secrets;
mod sqlite;
mod waiting;

use fixture::Fixture;

/// Runs every story on both databases.
macro_rules! stories {
    ($($module:ident :: $story:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                let fixture = super::Fixture::sqlite().await;
                super::$module::$story(&fixture).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                let Some(fixture) = super::Fixture::postgres().await else { return };
                super::$module::$story(&fixture).await;
                fixture.remove().await;
            })+
        }
    };
}

stories! {
    alone::an_operation_that_is_stored_alone_is_there_and_keeps_its_end,
    alone::one_that_is_refused_leaves_the_store_as_it_was,
    alone::one_waits_for_the_writer_before_it_and_sees_what_that_stored,
    alone::a_caller_is_looked_up_with_its_workspace,
    alone::events_are_the_same_in_one_look,
    channels::what_is_kept_for_a_channel_reads_back_as_it_was_written,
    channels::events_and_deliveries_come_in_the_order_of_their_time,
    channels::a_crash_does_not_send_again_what_a_channel_had_begun,
    round_trip::every_aggregate_reads_back_as_it_was_written,
    round_trip::lists_are_filtered_bounded_and_in_order,
    rules::the_same_message_sent_by_twenty_at_once_is_stored_once,
    rules::a_default_thread_is_made_once_per_workspace_and_key,
    rules::who_comes_second_finds_the_first_in_the_same_transaction,
    rules::a_text_with_a_nul_is_kept_with_a_mark_in_its_place,
    rules::an_update_of_a_row_that_is_not_there_is_an_error,
    rules::a_transaction_that_is_dropped_leaves_nothing,
    rules::a_final_operation_is_never_overwritten,
    rules::an_approval_is_decided_once,
    waiting::a_call_that_waits_is_kept_until_it_is_over,
    rules::a_snapshot_disables_what_it_does_not_list,
    rules::readers_see_what_is_committed_while_a_writer_is_at_work,
    rules::a_database_of_a_newer_version_is_refused,
    rules::a_row_that_nobody_writes_is_named,
    grants::a_grant_reads_back_as_it_was_written,
    grants::of_many_takers_each_use_goes_to_one,
    grants::a_grant_that_does_not_count_gives_no_use,
    grants::a_consent_takes_the_place_of_the_one_before,
    grants::audit_rows_are_filtered_bounded_and_newest_first,
    generations::a_generation_reads_back_as_it_was_written,
    generations::generations_are_found_by_plugin_and_by_what_is_left_to_do,
    queue::cursors_have_no_gap_and_appear_in_order,
    queue::an_event_that_cannot_be_read_keeps_its_place,
    queue::many_takers_take_each_run_once_and_one_of_a_thread,
    queue::a_waiting_run_holds_its_thread,
    queue::no_update_is_lost_when_many_look_and_then_write,
    secrets::a_new_value_of_a_secret_counts_up_and_keeps_when_it_was_made,
    secrets::a_secret_is_sealed_anew_only_where_its_value_is_still_the_same,
    secrets::secrets_of_one_name_are_told_apart_by_owner_and_workspace,
    queue::due_deliveries_come_in_order_and_a_crash_releases_them,
    keyvalue::a_pair_is_kept_byte_for_byte_and_counted,
    keyvalue::what_is_replaced_or_removed_counts_no_more_and_its_revision_never_returns,
    keyvalue::no_plugin_and_no_workspace_sees_the_pairs_of_another,
    keyvalue::a_purge_takes_every_pair_of_one_plugin_and_no_other,
    keyvalue::keys_are_listed_in_pages_that_miss_and_repeat_none,
    keyvalue::of_many_who_swap_the_same_pair_each_one_builds_on_the_last,
}
