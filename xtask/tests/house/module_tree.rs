//! The modules of a crate as its root declares them: which file each is in,
//! what it defines, what it imports and which paths it writes.
//!
//! What is compiled for tests (or fuzzing) only is left out.

use proc_macro2::{TokenStream, TokenTree};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem::take,
};
use syn::{
    Attribute, Ident, ImplItemFn, Item, ItemMod, ItemUse, Macro, Meta, Path, Token, UseTree,
    Visibility,
    ext::IdentExt,
    punctuated::Punctuated,
    visit::{self, Visit},
};

/// Where the text of a file comes from, by its path below `src`.
pub(crate) trait Sources {
    fn text(&self, file: &str) -> Option<String>;
}

/// Index of a module in its [`ModuleTree`].
pub(crate) type ModuleIndex = usize;

/// The crate's own module.
pub(crate) const ROOT: ModuleIndex = 0;

#[derive(Debug)]
pub(crate) struct ModuleTree {
    pub(crate) modules: Vec<Module>,
}

#[derive(Debug, Default)]
pub(crate) struct Module {
    /// From the crate's root, which has none.
    pub(crate) path: Vec<String>,
    /// Below `src`.
    pub(crate) file: String,
    pub(crate) parent: Option<ModuleIndex>,
    pub(crate) children: BTreeMap<String, ModuleIndex>,
    pub(crate) items: BTreeSet<String>,
    /// Structs, enums, unions, traits and aliases among the items.
    pub(crate) types: BTreeSet<String>,
    pub(crate) imports: Vec<Import>,
    /// Paths of two names or more, wherever they are written.
    pub(crate) paths: BTreeSet<Vec<String>>,
    /// The first names of all paths: what the module's own code uses.
    pub(crate) used: BTreeSet<String>,
}

/// One name of a `use`.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) public: bool,
    pub(crate) path: Vec<String>,
    /// What it is called here; `*` for a glob.
    pub(crate) name: String,
}

impl ModuleTree {
    /// Reads the modules below `root`, which is `lib.rs` or `main.rs`.
    pub(crate) fn read(root: &str, sources: &dyn Sources) -> Self {
        let module = Module {
            file: root.to_owned(),
            ..Module::default()
        };
        let mut tree = Self {
            modules: vec![module],
        };
        tree.read_file(ROOT, sources);
        tree
    }

    fn read_file(&mut self, module: ModuleIndex, sources: &dyn Sources) {
        let file = &self.modules[module].file;
        let text = sources.text(file).expect("a declared file is there");
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut reader = Reader {
            tree: self,
            module,
            sources,
        };
        reader.visit_file(&parsed);
    }

    fn add_child(&mut self, parent: ModuleIndex, name: String, file: String) -> ModuleIndex {
        let child = self.modules.len();
        let mut path = self.modules[parent].path.clone();
        path.push(name.clone());
        self.modules[parent].children.insert(name, child);
        self.modules.push(Module {
            path,
            file,
            parent: Some(parent),
            ..Module::default()
        });
        child
    }
}

struct Reader<'a> {
    tree: &'a mut ModuleTree,
    module: ModuleIndex,
    sources: &'a dyn Sources,
}

impl Reader<'_> {
    fn here(&mut self) -> &mut Module {
        &mut self.tree.modules[self.module]
    }

    fn add_path(&mut self, path: Vec<String>) {
        let Some(first) = path.first() else { return };
        let module = self.here();
        module.used.insert(first.clone());
        if path.len() > 1 {
            module.paths.insert(path);
        }
    }

    fn add_imports(&mut self, tree: &UseTree, public: bool, mut path: Vec<String>) {
        let named = match tree {
            UseTree::Path(step) => {
                path.push(text(&step.ident));
                return self.add_imports(&step.tree, public, path);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_imports(tree, public, path.clone());
                }
                return;
            }
            UseTree::Glob(_) => None,
            UseTree::Name(name) => Some((&name.ident, None)),
            UseTree::Rename(name) => Some((&name.ident, Some(&name.rename))),
        };
        let name = match named {
            None => "*".to_owned(),
            Some((last, renamed)) => {
                if last != "self" || path.is_empty() {
                    path.push(text(last));
                }
                renamed.map_or_else(|| path[path.len() - 1].clone(), text)
            }
        };
        self.here().imports.push(Import { public, path, name });
    }

    /// Adds the paths among tokens that are not parsed: `a::b`, and with
    /// `strings` also those that a literal holds, as serde's attributes do.
    fn add_tokens(&mut self, tokens: TokenStream, strings: bool) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        let mut after_dot = false;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.add_path(take(&mut path));
                    }
                    if !after_dot {
                        path.push(text(&ident));
                    }
                    (colons, after_dot) = (0, false);
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.add_path(take(&mut path));
                    colons = 0;
                    after_dot = matches!(&other, TokenTree::Punct(dot) if dot.as_char() == '.');
                    match other {
                        TokenTree::Group(group) => self.add_tokens(group.stream(), strings),
                        TokenTree::Literal(literal) if strings => {
                            let literal = literal.to_string();
                            if let Ok(path) = syn::parse_str::<Path>(literal.trim_matches('"')) {
                                self.add_path(names(&path));
                            }
                        }
                        TokenTree::Literal(_) | TokenTree::Punct(_) | TokenTree::Ident(_) => {}
                    }
                }
            }
        }
        self.add_path(path);
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, name) = head(item);
        if for_tests_only(attributes) {
            return;
        }
        if let Some(name) = name.map(text) {
            let module = self.here();
            if is_type(item) {
                module.types.insert(name.clone());
            }
            module.items.insert(name);
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if !for_tests_only(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let name = text(&item.ident);
        let mut path = self.here().path.clone();
        path.push(name.clone());
        let outer = self.module;
        if item.content.is_some() {
            let file = self.here().file.clone();
            self.module = self.tree.add_child(outer, name, file);
            visit::visit_item_mod(self, item);
            self.module = outer;
        } else {
            let path = path.join("/");
            let candidates = [format!("{path}.rs"), format!("{path}/mod.rs")];
            let file = candidates
                .into_iter()
                .find(|file| self.sources.text(file).is_some())
                .unwrap_or_else(|| panic!("`mod {name}` has a file {path}.rs"));
            let child = self.tree.add_child(outer, name, file);
            self.tree.read_file(child, self.sources);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            let public = !matches!(item.vis, Visibility::Inherited);
            self.add_imports(&item.tree, public, Vec::new());
        }
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast Path) {
        self.add_path(names(path));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invocation: &'ast Macro) {
        self.add_path(names(&invocation.path));
        self.add_tokens(invocation.tokens.clone(), false);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        match &attribute.meta {
            Meta::List(list) => {
                self.add_path(names(&list.path));
                self.add_tokens(list.tokens.clone(), true);
            }
            Meta::Path(path) => self.add_path(names(path)),
            Meta::NameValue(_) => {}
        }
    }
}

fn text(ident: &Ident) -> String {
    ident.unraw().to_string()
}

fn names(path: &Path) -> Vec<String> {
    if path.leading_colon.is_some() {
        return Vec::new();
    }
    path.segments.iter().map(|step| text(&step.ident)).collect()
}

fn is_type(item: &Item) -> bool {
    matches!(
        item,
        Item::Struct(_) | Item::Enum(_) | Item::Union(_) | Item::Trait(_) | Item::Type(_)
    )
}

/// An item's attributes, and the name that it adds to its module. A module's
/// own name is kept apart.
fn head(item: &Item) -> (&[Attribute], Option<&Ident>) {
    match item {
        Item::Const(item) => (&item.attrs, Some(&item.ident)),
        Item::Enum(item) => (&item.attrs, Some(&item.ident)),
        Item::ExternCrate(item) => (&item.attrs, None),
        Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
        Item::Impl(item) => (&item.attrs, None),
        Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
        Item::Mod(item) => (&item.attrs, None),
        Item::Static(item) => (&item.attrs, Some(&item.ident)),
        Item::Struct(item) => (&item.attrs, Some(&item.ident)),
        Item::Trait(item) => (&item.attrs, Some(&item.ident)),
        Item::TraitAlias(item) => (&item.attrs, Some(&item.ident)),
        Item::Type(item) => (&item.attrs, Some(&item.ident)),
        Item::Union(item) => (&item.attrs, Some(&item.ident)),
        Item::Use(item) => (&item.attrs, None),
        _ => (&[], None),
    }
}

fn for_tests_only(attributes: &[Attribute]) -> bool {
    let conditions = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"));
    conditions
        .filter_map(|attribute| attribute.parse_args::<Meta>().ok())
        .any(|condition| needs_tests(&condition))
}

/// Whether a condition of `cfg` holds for nobody but tests and fuzzing.
fn needs_tests(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::NameValue(pair) => {
            let syn::Expr::Lit(value) = &pair.value else {
                return false;
            };
            let fuzzing = matches!(&value.lit, syn::Lit::Str(name) if name.value() == "fuzzing");
            pair.path.is_ident("feature") && fuzzing
        }
        Meta::List(list) => {
            let parse = Punctuated::<Meta, Token![,]>::parse_terminated;
            let Ok(parts) = list.parse_args_with(parse) else {
                return false;
            };
            if list.path.is_ident("any") {
                parts.iter().all(needs_tests)
            } else {
                list.path.is_ident("all") && parts.iter().any(needs_tests)
            }
        }
    }
}

/// The modules of a crate that a test makes up: its files, by their paths.
pub(crate) fn planted(files: &[(&str, &str)]) -> ModuleTree {
    struct Planted<'a>(&'a [(&'a str, &'a str)]);
    impl Sources for Planted<'_> {
        fn text(&self, file: &str) -> Option<String> {
            let found = self.0.iter().find(|(name, _)| *name == file);
            found.map(|(_, text)| (*text).to_owned())
        }
    }
    ModuleTree::read("lib.rs", &Planted(files))
}
