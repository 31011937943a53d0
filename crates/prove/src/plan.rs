//! What each client of a random workload does, decided before the first request: the same seed, the same script.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    Contexts, Namespace, ProveError,
    cast::{Cast, PersonNo, SetNo},
    history::{Intrusion, SignIn},
    population::populate,
};

/// A random mixture of everything that clients do.
#[derive(Debug, Clone)]
pub struct Workload {
    /// How many clients act at the same time.
    pub clients: usize,
    /// How many pairs of people chat; groups and hostile sets come on top.
    pub pairs: usize,
    /// How many operations there are, over all clients.
    pub ops: usize,
    /// The same seed gives every client the same operations in the same order.
    pub seed: u64,
    /// New to the server.
    pub namespace: Namespace,
}

/// How the participants of create-or-get are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `participants`, in canonical order.
    Listed,
    /// `participants`, the other way round.
    Reversed,
    /// `participants`, the first one twice.
    Repeated,
    /// `with`: everybody but the caller.
    With,
}

impl Form {
    pub(crate) const ALL: [Self; 4] = [Self::Listed, Self::Reversed, Self::Repeated, Self::With];

    pub(crate) fn nth(n: usize) -> Self {
        Self::ALL[n % Self::ALL.len()]
    }
}

/// How often a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    Once,
    /// Again after the answer.
    Again,
    /// Twice at the same time.
    Together,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Open {
        set: SetNo,
        caller: PersonNo,
        form: Form,
    },
    /// Every member asks twice, all in the same moment.
    Rush {
        set: SetNo,
    },
    Send {
        set: SetNo,
        sender: PersonNo,
        repeat: Repeat,
    },
    Lookup {
        set: SetNo,
        caller: PersonNo,
    },
    Get {
        set: SetNo,
        caller: PersonNo,
    },
    List {
        caller: PersonNo,
    },
    /// Lists what is about the same as a chat that has a context.
    ListAbout {
        set: SetNo,
        caller: PersonNo,
    },
    Read {
        set: SetNo,
        caller: PersonNo,
    },
    Probe {
        set: SetNo,
        intruder: PersonNo,
        how: Intrusion,
        signed_in_by: SignIn,
    },
}

/// The scripts of all clients.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) cast: Cast,
    pub(crate) scripts: Vec<Vec<Op>>,
}

impl Plan {
    pub(crate) fn new(workload: &Workload, contexts: Contexts) -> Result<Self, ProveError> {
        let at_least_one =
            [("clients", workload.clients), ("pairs", workload.pairs), ("operations", workload.ops)];
        if let Some((name, _)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
            return Err(ProveError::Empty(name));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(workload.seed);
        let mut cast = Cast::new(contexts, &workload.namespace);
        let sets = populate(&mut cast, &workload.namespace, workload.pairs, contexts, &mut rng);
        let people: Vec<_> = cast.people().collect();
        let mut scripts = Vec::with_capacity(workload.clients);
        for client in 0..workload.clients {
            let mut rng = ChaCha8Rng::seed_from_u64(workload.seed);
            rng.set_stream(client as u64 + 1);
            let ops = workload.ops / workload.clients + usize::from(client < workload.ops % workload.clients);
            let mut writer = Writer { cast: &mut cast, sets: &sets, people: &people, rng };
            scripts.push((0..ops).map(|n| writer.op(n, ops)).collect());
        }
        Ok(Self { cast, scripts })
    }
}

struct Writer<'a> {
    cast: &'a mut Cast,
    sets: &'a [SetNo],
    people: &'a [PersonNo],
    rng: ChaCha8Rng,
}

impl Writer<'_> {
    fn op(&mut self, n: usize, ops: usize) -> Op {
        let place = n * self.sets.len() / ops;
        let arrived = n == 0 || place != (n - 1) * self.sets.len() / ops;
        if arrived && self.rng.random_ratio(1, 4) {
            return Op::Rush { set: self.sets[place] };
        }
        let set = self.pick_set(place);
        let caller = self.pick_member(set);
        match self.rng.random_range(0..100) {
            0..35 => Op::Open { set, caller, form: Form::nth(self.rng.random_range(0..Form::ALL.len())) },
            35..65 => Op::Send { set, sender: caller, repeat: self.pick_repeat() },
            65..73 => Op::Lookup { set, caller },
            73..81 => Op::Get { set, caller },
            81..83 if self.cast.context(set).is_some() => Op::ListAbout { set, caller },
            81..85 => Op::List { caller },
            85..91 => Op::Read { set, caller },
            _ => self.intrusion(set),
        }
    }

    /// The clients walk through the sets side by side, so that most chats are born in a race; now and then one
    /// goes elsewhere.
    fn pick_set(&mut self, place: usize) -> SetNo {
        let elsewhere = self.rng.random_ratio(3, 10);
        self.sets[if elsewhere { self.rng.random_range(0..self.sets.len()) } else { place }]
    }

    fn pick_member(&mut self, set: SetNo) -> PersonNo {
        let members = self.cast.members(set);
        members[self.rng.random_range(0..members.len())]
    }

    fn pick_repeat(&mut self) -> Repeat {
        match self.rng.random_range(0..10) {
            0..7 => Repeat::Once,
            7 => Repeat::Again,
            _ => Repeat::Together,
        }
    }

    fn intrusion(&mut self, set: SetNo) -> Op {
        let intruder = loop {
            let person = self.people[self.rng.random_range(0..self.people.len())];
            if !self.cast.is_member(person, set) {
                break person;
            }
        };
        let how = match self.rng.random_range(0..5) {
            0 => Intrusion::Get,
            1 => Intrusion::Send,
            2 => Intrusion::Read,
            3 => Intrusion::Open,
            // The service adds the caller: an outsider asks for another set, and must not get this one.
            _ => return Op::Lookup { set: self.cast.set_and(set, intruder), caller: intruder },
        };
        let signed_in_by = if self.rng.random() { SignIn::ByService } else { SignIn::ByCaller };
        Op::Probe { set, intruder, how, signed_in_by }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(seed: u64) -> Workload {
        Workload { clients: 3, pairs: 20, ops: 1000, seed, namespace: Namespace::new("p-").unwrap() }
    }

    #[test]
    fn the_seed_decides_every_step() {
        let plan = Plan::new(&workload(7), Contexts::Off).unwrap();
        assert_eq!(plan, Plan::new(&workload(7), Contexts::Off).unwrap());
        assert_ne!(plan.scripts, Plan::new(&workload(8), Contexts::Off).unwrap().scripts);
        assert_ne!(plan.scripts[0], plan.scripts[1]);
    }

    #[test]
    fn all_operations_are_handed_out_and_every_kind_occurs() {
        let plan = Plan::new(&workload(7), Contexts::Off).unwrap();
        let lengths: Vec<_> = plan.scripts.iter().map(Vec::len).collect();
        assert_eq!(lengths, [334, 333, 333]);
        let ops: Vec<_> = plan.scripts.iter().flatten().collect();
        assert!(ops.iter().any(|op| matches!(op, Op::Send { repeat: Repeat::Together, .. })));
        assert!(ops.iter().any(|op| matches!(op, Op::Rush { .. })));
        for how in [Intrusion::Get, Intrusion::Send, Intrusion::Read, Intrusion::Open] {
            for way in [SignIn::ByCaller, SignIn::ByService] {
                let is_such = |op: &&Op| matches!(op, Op::Probe { how: found, signed_in_by, .. } if (*found, *signed_in_by) == (how, way));
                assert!(ops.iter().copied().any(|op| is_such(&op)), "{how:?} {way:?}");
            }
        }
    }

    #[test]
    fn contexts_are_spoken_of_where_the_service_has_them_only() {
        let abouts = |contexts| {
            let plan = Plan::new(&workload(7), contexts).unwrap();
            let has_context = |set: &SetNo| plan.cast.context(*set).is_some();
            let opened = plan.scripts.iter().flatten().filter_map(|op| match op {
                Op::Open { set, .. } => Some(has_context(set)),
                _ => None,
            });
            let opened: Vec<bool> = opened.collect();
            let lists = plan.scripts.iter().flatten().filter(|op| matches!(op, Op::ListAbout { .. })).count();
            (opened.contains(&true), opened.contains(&false), lists > 0)
        };
        assert_eq!(abouts(Contexts::Off), (false, true, false));
        assert_eq!(abouts(Contexts::Optional), (true, true, true));
        assert_eq!(abouts(Contexts::Required), (true, false, true));
    }

    #[test]
    fn intruders_are_never_members() {
        let plan = Plan::new(&workload(7), Contexts::Off).unwrap();
        for op in plan.scripts.iter().flatten() {
            if let Op::Probe { set, intruder, .. } = op {
                assert!(!plan.cast.is_member(*intruder, *set));
            }
        }
    }

    #[test]
    fn nothing_to_do_is_an_error() {
        assert!(matches!(
            Plan::new(&Workload { ops: 0, ..workload(1) }, Contexts::Off),
            Err(ProveError::Empty("operations"))
        ));
    }
}
