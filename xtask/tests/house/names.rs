//! Finds what a path names: which module, or which item in the file that
//! defines it. Re-exports are followed; what they hand on is not theirs.

use crate::module_tree::{Module, ModuleIndex, ModuleTree, ROOT};
use std::collections::BTreeSet;

/// What a path of the crate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    Module(ModuleIndex),
    /// An item by the module that defines it. What a macro makes cannot be seen
    /// and is taken for defined where the path ends.
    Item(ModuleIndex, String),
}

/// Names that are being looked up, against imports that name each other.
type Asked<'a> = BTreeSet<(ModuleIndex, &'a str)>;

impl ModuleTree {
    /// What `path` means in module `from`; none where it leaves the crate.
    pub(crate) fn resolve(&self, from: ModuleIndex, path: &[String]) -> Option<Named> {
        self.follow(from, path, &Asked::new())
    }

    fn follow<'a>(
        &'a self,
        from: ModuleIndex,
        path: &'a [String],
        asked: &Asked<'a>,
    ) -> Option<Named> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => ROOT,
            "self" => from,
            "super" => self.modules[from].parent?,
            name => match self.look_up(from, name, rest.is_empty(), asked)? {
                Named::Module(module) => module,
                item @ Named::Item(..) => return Some(item),
            },
        };
        while let Some((name, after)) = rest.split_first() {
            rest = after;
            if name == "super" {
                at = self.modules[at].parent?;
                continue;
            }
            match self.look_up(at, name, rest.is_empty(), asked) {
                Some(Named::Module(module)) => at = module,
                Some(item) => return Some(item),
                None => return Some(Named::Item(at, name.clone())),
            }
        }
        Some(Named::Module(at))
    }

    /// A name in a module's scope. A module and an item may share one: the last
    /// name of a path then means the item, another the module.
    fn look_up<'a>(
        &'a self,
        at: ModuleIndex,
        name: &'a str,
        last: bool,
        asked: &Asked<'a>,
    ) -> Option<Named> {
        let module = &self.modules[at];
        let mut asked = asked.clone();
        if !asked.insert((at, name)) {
            return module.children.get(name).map(|child| Named::Module(*child));
        }
        let child = module.children.get(name).map(|child| Named::Module(*child));
        let item = || {
            let own = module.items.contains(name);
            own.then(|| Named::Item(at, name.to_owned()))
        };
        let imported = || {
            let mut imports = module.imports.iter().filter(|import| import.name == name);
            imports.find_map(|import| self.follow(at, &import.path, &asked))
        };
        let found = if last {
            item().or_else(imported).or(child)
        } else {
            child.or_else(item).or_else(imported)
        };
        found.or_else(|| self.look_into_globs(module, at, name, last, &asked))
    }

    fn look_into_globs<'a>(
        &'a self,
        module: &'a Module,
        at: ModuleIndex,
        name: &'a str,
        last: bool,
        asked: &Asked<'a>,
    ) -> Option<Named> {
        let mut globs = module.imports.iter().filter(|import| import.name == "*");
        globs.find_map(|import| match self.follow(at, &import.path, asked)? {
            Named::Module(from) if from != at => self.look_up(from, name, last, asked),
            Named::Module(_) | Named::Item(..) => None,
        })
    }
}
