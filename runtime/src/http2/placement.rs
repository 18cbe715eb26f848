//! Which connection a new stream goes to.

/// The connection for the next stream, given the streams that each one carries; `None` when all are full.
///
/// The least loaded one, so that the loss of one connection costs as few streams as it can; the first among equals.
pub(super) fn place(streams: &[usize], streams_per_connection: usize) -> Option<usize> {
    streams
        .iter()
        .enumerate()
        .filter(|(_, carried)| **carried < streams_per_connection)
        .min_by_key(|(_, carried)| **carried)
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_least_loaded_connection_is_chosen_and_a_full_pool_refuses() {
        assert_eq!(place(&[3, 1, 2], 4), Some(1));
        assert_eq!(place(&[4, 4], 4), None);
        assert_eq!(place(&[], 4), None);
    }

    proptest! {
        #[test]
        fn no_connection_ever_exceeds_its_limit_and_loads_differ_by_one_at_most(
            connections in 1_usize..8, limit in 1_usize..16, arrivals in 0_usize..200,
        ) {
            let mut streams = vec![0; connections];
            for _ in 0..arrivals {
                match place(&streams, limit) {
                    Some(index) => streams[index] += 1,
                    None => prop_assert!(streams.iter().all(|carried| *carried == limit)),
                }
            }
            let (least, most) = (streams.iter().min().unwrap(), streams.iter().max().unwrap());
            prop_assert!(*most <= limit && most - least <= 1);
        }
    }
}
