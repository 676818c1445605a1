//! The directory against a plain map, and the length of its slices.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Weak;

use actix_rt::{Arbiter, System};
use proptest::prelude::*;

use super::*;
use crate::supervision::{
    cell::BranchCell,
    core::CorePolicy,
    event::NoSink,
    node::Place,
    page::PageQuery,
    runtime::RuntimeConfig,
    shards::Shards,
    spec::Order,
    state::{Counts, NodeState},
    tree::Tree,
    world::World,
};

thread_local! {
    /// Children looked at and shelves come to, on this thread.
    static LOOKS: Cell<usize> = const { Cell::new(0) };
}

pub(super) fn looked() {
    LOOKS.set(LOOKS.get() + 1);
}

/// What a piece of work answers, and how many looks it took.
fn looks<R>(work: impl FnOnce() -> R) -> (R, usize) {
    let before = LOOKS.get();
    let answer = work();
    (answer, LOOKS.get() - before)
}

fn listed(world: &Arc<World>, path: &str, branch: bool) -> AnyChild {
    let family = Arc::<Counts>::default();
    let path = ChildPath::parse(path).unwrap();
    let cell = branch.then(|| BranchCell::new(world, path.clone(), CorePolicy::new(Order::Ordered)));
    let place = Place { parent: Weak::new(), key: 0, shard: 0, since: chrono::DateTime::UNIX_EPOCH };
    AnyChild::of_node(Node::new(world, path, "test", place, (&family, cell), 1))
}

fn in_a_world<R>(test: impl FnOnce(Arc<World>) -> R) -> R {
    System::new().block_on(async {
        let clock = Arc::new(|| chrono::DateTime::UNIX_EPOCH);
        let shards = Shards::new(Arbiter::current(), NonZeroUsize::MIN).unwrap();
        test(World::new(RuntimeConfig::default(), clock, Arc::new(NoSink), shards))
    })
}

/// Everything of a scan, slice by slice; each slice within its bound.
fn read(directory: &Directory, scan: &mut Scan) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let before = found.len();
        let more = directory.slice(scan, &mut |listed| {
            found.push(listed.path().to_owned());
            true
        });
        assert!(found.len() - before <= SLICE, "a slice is bounded");
        if !more {
            return found;
        }
    }
}

impl Directory {
    fn check(&self) {
        let mut before = String::new();
        for (key, shelf) in &self.shelves {
            assert!(shelf.items.len() <= SHELF && (key.is_empty() || !shelf.items.is_empty()));
            assert!(shelf.first().is_none_or(|first| *key <= first), "a shelf's key is not after its first");
            for state in NodeState::ALL {
                let there = shelf.items.iter().filter(|listed| listed.node().state() == state).count();
                assert_eq!(shelf.counts.of(state), there, "shelf {key:?} counts what is {state}");
            }
            for listed in &shelf.items {
                assert!(before.as_str() < listed.path(), "{before} before {}", listed.path());
                before = listed.path().to_owned();
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Whether it is a supervisor says the second.
    Insert(usize, bool),
    Remove(usize),
    Turn(usize, NodeState),
}

/// Puts a child in the place of whatever was there.
fn put(directory: &mut Directory, listed: AnyChild) -> Vec<AnyChild> {
    directory.insert(listed, &|_| false).expect("nothing stays")
}

/// Names that lie close to each other, at both sides of what separates segments.
fn name(number: usize) -> String {
    let branch = ["a", "a-b", "a0", "b", "zz"];
    let branch = branch[number % branch.len()];
    match number / 5 {
        0 => branch.to_owned(),
        n => format!("{branch}/{n:03}"),
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let number = 0..2_000_usize;
    let state = (0..7_usize).prop_map(|at| NodeState::ALL[at]);
    let step = prop_oneof![
        6 => (number.clone(), any::<bool>()).prop_map(|(number, branch)| Step::Insert(number, branch)),
        2 => number.clone().prop_map(Step::Remove),
        2 => (number, state).prop_map(|(number, state)| Step::Turn(number, state)),
    ];
    proptest::collection::vec(step, 1..1_500)
}

type Plain = BTreeMap<String, AnyChild>;

fn paths(children: &[AnyChild]) -> BTreeSet<String> {
    children.iter().map(|one| one.path().to_owned()).collect()
}

/// What goes with a child: all that is below it.
fn with_all_below(model: &Plain, path: &str) -> BTreeSet<String> {
    let below = format!("{path}/");
    model.keys().filter(|one| *one == path || one.starts_with(&below)).cloned().collect()
}

/// A child that stays keeps its place; one that does not goes with all that is below it.
fn insert_into_both(directory: &mut Directory, model: &mut Plain, new: AnyChild) {
    let path = new.path().to_owned();
    let there = model.contains_key(&path);
    assert_eq!(directory.insert(new.clone(), &|_| true).is_err(), there);
    if there {
        let gone = paths(&put(directory, new.clone()));
        assert_eq!(gone, with_all_below(model, &path));
        model.retain(|one, _| !gone.contains(one));
    }
    model.insert(path, new);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn it_agrees_with_a_plain_map(steps in steps(), prefixes in proptest::collection::vec(0..60_usize, 4), after in 0..2_000_usize) {
        in_a_world(|world| {
            let (mut directory, mut model) = (Directory::default(), Plain::new());
            put(&mut directory, listed(&world, "root", true));
            for step in steps {
                match step {
                    Step::Insert(number, branch) => {
                        let new = listed(&world, &name(number), branch && number < 5);
                        insert_into_both(&mut directory, &mut model, new);
                    }
                    Step::Remove(number) => {
                        let path = name(number);
                        let Some(node) = model.get(&path).map(|listed| Arc::clone(listed.node())) else { continue };
                        let gone = paths(&directory.remove(&node));
                        assert_eq!(gone, with_all_below(&model, &path));
                        model.retain(|path, _| !gone.contains(path));
                    }
                    Step::Turn(number, state) => {
                        if let Some(listed) = model.get(&name(number)) {
                            listed.node().set_state(state);
                        }
                    }
                }
            }
            directory.check();
            for (state, counted) in world.tallies.by_state() {
                let there = model.values().filter(|listed| listed.node().state() == state).count();
                let root = usize::from(state == NodeState::Starting);
                assert_eq!(counted, there + root, "counted are those that stand here: {state}");
            }
            let root = ChildPath::root();
            let all = read(&directory, &mut Scan::new(&root, None, None));
            assert_eq!(all.first().map(String::as_str), Some("root"));
            assert!(all[1..].iter().eq(model.keys()));
            for prefix in prefixes {
                let prefix = ChildPath::parse(&name(prefix)).unwrap();
                for state in [None, Some(NodeState::Starting), Some(NodeState::Parked)] {
                    let after = ChildPath::parse(&name(after)).unwrap();
                    for after in [None, Some(&root), Some(&after)] {
                        let found = read(&directory, &mut Scan::new(&prefix, state, after));
                        let fits = |path: &ChildPath, listed: &AnyChild| {
                            path.is_within(&prefix)
                                && state.is_none_or(|state| state == listed.node().state())
                                && after.is_none_or(|after| after.is_root() || path > after)
                        };
                        let expected: Vec<_> = model
                            .iter()
                            .filter(|(path, listed)| fits(&ChildPath::parse(path).unwrap(), listed))
                            .map(|(path, _)| path.clone())
                            .collect();
                        assert_eq!(found, expected, "{prefix} {state:?} after {after:?}");
                    }
                }
            }
            assert_eq!(directory.find(&root).map(|root| root.node().is_branch()), Some(true));
            for path in model.keys() {
                assert!(directory.find(&ChildPath::parse(path).unwrap()).is_some());
            }
        });
    }
}

#[test]
fn a_rare_state_is_found_without_looking_at_everybody() {
    in_a_world(|world| {
        let mut directory = Directory::default();
        let all: Vec<_> = (0..100_000).map(|n| listed(&world, &format!("pairs/{n:06}"), false)).collect();
        for one in &all {
            put(&mut directory, one.clone());
        }
        assert_eq!(
            directory.shelves.len(),
            100_000 / SHELF + 1,
            "children added in order fill their shelves"
        );
        all[99_000].node().set_state(NodeState::Parked);
        let mut scan = Scan::new(&ChildPath::root(), Some(NodeState::Parked), None);
        let (mut slices, mut found) = (1, Vec::new());
        while directory.slice(&mut scan, &mut |listed| {
            found.push(listed.path().to_owned());
            true
        }) {
            slices += 1;
        }
        assert_eq!(found, ["pairs/099000"]);
        assert_eq!(slices, 2, "782 shelves and the 128 children of one of them");
    });
}

#[test]
fn a_branch_takes_along_what_is_below_it_and_nothing_else() {
    in_a_world(|world| {
        let mut directory = Directory::default();
        for path in ["root", "pairs", "pairs-old", "pairs0"] {
            put(&mut directory, listed(&world, path, true));
        }
        for n in 0..1_000 {
            put(&mut directory, listed(&world, &format!("pairs/{n}"), false));
            put(&mut directory, listed(&world, &format!("pairs-old/{n}"), false));
        }
        let pairs = directory.find(&ChildPath::parse("pairs").unwrap()).unwrap();
        assert_eq!(directory.remove(pairs.node()).len(), 1_001);
        assert!(directory.remove(pairs.node()).is_empty(), "once");
        directory.check();
        let left = read(&directory, &mut Scan::new(&ChildPath::root(), None, None));
        assert_eq!(left.len(), 1_003);
        let root = directory.find(&ChildPath::root()).unwrap();
        assert_eq!(directory.remove(root.node()).len(), 1_003);
        assert!(read(&directory, &mut Scan::new(&ChildPath::root(), None, None)).is_empty());
        assert!(directory.pillars().is_empty());
    });
}

/// 100,000 children of a branch, two of which, far from each other, are parked.
fn hundred_thousand(world: &Arc<World>) -> Vec<AnyChild> {
    let all: Vec<_> = (0..100_000).map(|n| listed(world, &format!("pairs/{n:06}"), false)).collect();
    for n in [70_000, 99_000] {
        all[n].node().set_state(NodeState::Parked);
    }
    for one in [listed(world, "pairs", true)].iter().chain(&all) {
        assert!(world.list(one.clone(), &|_| true).is_ok_and(|gone| gone.is_empty()), "all are new");
    }
    all
}

#[test]
fn a_page_looks_at_what_is_on_it_and_at_one_number_a_shelf() {
    in_a_world(|world| {
        let _all = hundred_thousand(&world);
        let tree = Tree { world: Arc::clone(&world) };
        let shelves = 100_001_usize.div_ceil(SHELF);
        let page = |state, limit: usize, after: Option<&str>| {
            let prefix = ChildPath::parse("pairs").unwrap();
            let after = after.map(|after| ChildPath::parse(after).unwrap());
            let limit = NonZeroUsize::new(limit).unwrap();
            looks(|| tree.page(&PageQuery { prefix, state, limit, after }).items.len())
        };
        // One child more says that there are more; and the shelves on which they are.
        for (limit, after) in [(1, "pairs/000000"), (200, "pairs/050000"), (1_000, "pairs/090000")] {
            let (found, looks) = page(None, limit, Some(after));
            assert_eq!(found, limit);
            assert!((limit + 1..=limit + 1 + limit / SHELF + 3).contains(&looks), "{limit}: {looks} looks");
        }
        let (found, looks) = page(Some(NodeState::Parked), 5, None);
        assert_eq!(found, 2);
        let neighbours = 2 * SHELF;
        assert!((shelves..=shelves + 1 + neighbours).contains(&looks), "{looks} looks");
        let (found, looks) = page(Some(NodeState::Backoff), 5, None);
        assert_eq!(found, 0);
        assert!((shelves..=shelves + 1).contains(&looks), "nobody is looked at: {looks} looks");
    });
}

#[test]
fn the_directory_is_locked_for_a_look_at_512_children_at_most() {
    in_a_world(|world| {
        let _all = hundred_thousand(&world);
        for state in [None, Some(NodeState::Starting), Some(NodeState::Parked), Some(NodeState::Backoff)] {
            let (mut scan, mut longest, mut sum) = (Scan::new(&ChildPath::root(), state, None), 0, 0);
            loop {
                // The lock is taken for the call and no longer.
                let (more, looks) = looks(|| world.slice(&mut scan, &mut |_| true));
                (longest, sum) = (looks.max(longest), sum + looks);
                if !more {
                    break;
                }
            }
            // A slice that ends with the first child of a shelf has come to that shelf, too.
            assert!((SLICE..=SLICE + 1).contains(&longest), "{state:?}: {longest} looks");
            assert!(sum > longest, "{state:?}: more than one slice");
        }
    });
}
