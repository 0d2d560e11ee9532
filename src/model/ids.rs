//! Ids: small indices, one type for each kind of thing.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl $name {
            /// The index as a `usize`.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

id!(
    /// Index into [`Config::listeners`](super::Config::listeners).
    ListenerId
);
id!(
    /// Index into [`Config::sites`](super::Config::sites).
    SiteId
);
id!(
    /// Index into [`Config::routes`](super::Config::routes).
    RouteId
);
id!(
    /// Index into [`Config::pools`](super::Config::pools).
    PoolId
);
