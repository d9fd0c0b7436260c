//! Which calls of one round run beside each other. A pure decision. Source: MeetYou V4, parallel policy.

use berth_model::tool::Parallel;

/// Cuts calls into batches of indices; batches run one after another, the calls of one beside each other.
///
/// A call joins the open batch when it is safe to, its group has room, and nobody in it holds the same resource.
pub(super) fn batches(calls: &[Parallel], most: usize) -> Vec<Vec<usize>> {
    let mut done: Vec<Vec<usize>> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        if !call.safe {
            done.extend([std::mem::take(&mut open), vec![index]]);
            continue;
        }
        let of_group = open.iter().filter(|&&other| calls[other].group == call.group).count();
        let shares = call.resource_key.is_some()
            && open.iter().any(|&other| calls[other].resource_key == call.resource_key);
        if open.len() >= most.max(1) || of_group >= call.max_concurrency.max(1) as usize || shares {
            done.push(std::mem::take(&mut open));
        }
        open.push(index);
    }
    done.push(open);
    done.retain(|batch| !batch.is_empty());
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(group: &str, most: u32, resource: Option<&str>) -> Parallel {
        Parallel {
            safe: true,
            max_concurrency: most,
            group: group.to_owned(),
            resource_key: resource.map(str::to_owned),
        }
    }

    fn write() -> Parallel {
        Parallel { safe: false, ..read("write", 3, None) }
    }

    #[test]
    fn reads_run_together_up_to_the_limit_and_writes_alone_in_order() {
        let calls = [read("r", 9, None), read("r", 9, None), write(), write(), read("r", 9, None)];

        assert_eq!(batches(&calls, 3), [vec![0, 1], vec![2], vec![3], vec![4]]);
        assert_eq!(batches(&calls[..2], 1), [vec![0], vec![1]]);
        assert!(batches(&[], 3).is_empty());
    }

    #[test]
    fn a_full_group_and_a_held_resource_open_a_new_batch() {
        let grouped = [read("a", 1, None), read("b", 1, None), read("a", 1, None)];
        let held = [read("a", 9, Some("x")), read("a", 9, Some("y")), read("a", 9, Some("x"))];

        assert_eq!(batches(&grouped, 8), [vec![0, 1], vec![2]]);
        assert_eq!(batches(&held, 8), [vec![0, 1], vec![2]]);
    }
}
