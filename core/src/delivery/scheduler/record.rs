//! The recorded form of asks, answers and notices.

use super::ask::*;

crate::record_enum!(Ask {
    0 => Route { connection, recipient, seed, then },
    1 => Connect { connection, plan },
    2 => Hand { connection, handed },
    3 => Commit { commit, then },
    4 => Reported { connection },
    5 => Obeyed { ticket, rows },
});
crate::record_struct!(Handed { message, transaction });
crate::record_struct!(Commit {
    message,
    changes,
    report
});
crate::record_struct_tuple!(Routed);
crate::record_enum!(Committed { 0 => Done, 1 => Refused });
crate::record_enum!(Value { 0 => Routed(routed), 1 => Committed(committed) });
crate::record_enum!(Notice {
    0 => Entered(message),
    1 => Wants { connection },
    2 => Result { connection, results },
    3 => Ended { connection },
    4 => Unusable { connection, said },
    5 => Operate { ticket, which, what },
    6 => Settings(settings),
    7 => Shutdown,
});
crate::record_enum!(Which { 0 => Id(id), 1 => Message(message), 2 => Domain(domain), 3 => All });
crate::record_enum!(Operation { 0 => Retry, 1 => Hold, 2 => Release, 3 => Cancel });
crate::record_struct!(Settings {
    route,
    retry,
    connections
});
