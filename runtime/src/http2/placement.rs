//! Which connection a new stream goes to.

/// Connections that are used however few streams there are: the loss of one must not stop all.
const LEAST_USED: usize = 2;

/// The connection for the next stream, given the streams that each one carries; `None` when all are full.
///
/// The least loaded one, so that the loss of one connection costs as few streams as it can; the first among equals. Of as many
/// connections as carry all streams when each is half full, and at least two, since a connection costs memory and handshakes;
/// the other half is room for a subscription's successor to open before its predecessor ends. The rest is for when those are
/// full.
pub(super) fn place(streams: &[usize], streams_per_connection: usize) -> Option<usize> {
    let all = streams.iter().sum::<usize>() + 1;
    let enough = all.div_ceil((streams_per_connection / 2).max(1)).max(LEAST_USED);
    let least_loaded = |used: usize| {
        let places = streams.iter().enumerate().take(used).filter(|(_, carried)| **carried < streams_per_connection);
        places.min_by_key(|(_, carried)| **carried).map(|(index, _)| index)
    };
    least_loaded(enough).or_else(|| least_loaded(streams.len()))
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

    #[test]
    fn a_connection_is_added_when_the_others_are_half_full_and_not_before() {
        assert_eq!(place(&[2, 1, 0], 4), Some(1));
        assert_eq!(place(&[2, 2, 0], 4), Some(2));
        assert_eq!(place(&[4, 4, 0], 4), Some(2));
        // Streams left the first, and those that are beyond what is needed stay where they are.
        assert_eq!(place(&[0, 1, 1], 4), Some(0));
    }

    proptest! {
        #[test]
        fn no_connection_ever_exceeds_its_limit_and_no_more_are_used_than_are_half_full(
            connections in 1_usize..8, limit in 1_usize..16, arrivals in 0_usize..200,
        ) {
            let mut streams = vec![0; connections];
            for _ in 0..arrivals {
                match place(&streams, limit) {
                    Some(index) => streams[index] += 1,
                    None => prop_assert!(streams.iter().all(|carried| *carried == limit)),
                }
                let all: usize = streams.iter().sum();
                let used = streams.iter().filter(|carried| **carried > 0).count();
                prop_assert!(used <= all.div_ceil((limit / 2).max(1)).max(LEAST_USED), "{streams:?}");
                prop_assert!(streams.iter().all(|carried| *carried <= limit), "{streams:?}");
            }
            prop_assert!(connections == 1 || arrivals < 2 || streams.iter().filter(|carried| **carried > 0).count() > 1);
        }
    }
}
