//! The modules of a crate, with the names that each binds and the paths that each mentions. `#[cfg(test)]` is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, UseTree};

/// The files of a crate by their paths below `src`, each with its text.
pub(crate) type Files = BTreeMap<String, String>;

/// The path of a module, from the root of its crate.
pub(crate) type ModulePath = Vec<String>;

/// A path as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Mention {
    /// Where it is written.
    pub(crate) module: ModulePath,
    pub(crate) segments: Vec<String>,
    /// It begins with `::`, and so with the name of another crate.
    pub(crate) is_external: bool,
}

/// What a name in a module stands for, unless it is a module below that one.
#[derive(Clone, Debug)]
pub(crate) enum Name {
    Item,
    Import(Mention),
}

#[derive(Debug, Default)]
pub(crate) struct Module {
    pub(crate) file: String,
    /// More than one for a name that is a type, a function and a macro.
    pub(crate) names: BTreeMap<String, Vec<Name>>,
    pub(crate) globs: Vec<Mention>,
    /// A macro among its items may define names that are not seen here.
    pub(crate) has_macro_items: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Crate {
    pub(crate) modules: BTreeMap<ModulePath, Module>,
    /// Of each file, the module that it is.
    pub(crate) files: BTreeMap<String, ModulePath>,
    pub(crate) mentions: Vec<Mention>,
}

/// Reads the Rust files below a folder.
pub(crate) fn read(folder: &Path) -> Files {
    fn add(folder: &Path, below: &str, files: &mut Files) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{below}{}", path.file_name().unwrap().to_str().unwrap());
            if path.is_dir() {
                add(&path, &format!("{name}/"), files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut files = Files::new();
    add(folder, "", &mut files);
    files
}

/// Parses a crate from `lib.rs` on, along its `mod` items.
pub(crate) fn parse(files: &Files) -> Crate {
    let mut parsed = Crate::default();
    parse_file(files, "lib.rs".into(), &ModulePath::new(), &mut parsed);
    parsed
}

fn parse_file(files: &Files, file: String, path: &ModulePath, parsed: &mut Crate) {
    let text = files.get(&file).unwrap_or_else(|| panic!("there is no {file}"));
    let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
    parsed.files.insert(file.clone(), path.clone());
    let mut reader = Reader {
        parsed,
        children: Vec::new(),
        file,
        path: path.clone(),
        blocks: 0,
    };
    reader.open_module();
    reader.visit_file(&syntax);
    for child in reader.children {
        let below = child.join("/");
        let candidates = [format!("{below}.rs"), format!("{below}/mod.rs")];
        let file = candidates.into_iter().find(|file| files.contains_key(file));
        let file = file.unwrap_or_else(|| panic!("there is no file for the module {below}"));
        parse_file(files, file, &child, parsed);
    }
}

struct Reader<'a> {
    parsed: &'a mut Crate,
    /// The modules that are files of their own.
    children: Vec<ModulePath>,
    file: String,
    path: ModulePath,
    /// In how many blocks of functions the visitor is.
    blocks: usize,
}

impl Reader<'_> {
    fn open_module(&mut self) {
        // There may be two of it, for a feature and for its absence.
        let module = self.parsed.modules.entry(self.path.clone()).or_default();
        module.file.clone_from(&self.file);
    }

    fn mention(&mut self, segments: Vec<String>, is_external: bool) -> Mention {
        let mention = Mention {
            module: self.path.clone(),
            segments,
            is_external,
        };
        self.parsed.mentions.push(mention.clone());
        mention
    }

    /// The module that is read, unless this is within a function, whose names are nobody else's.
    fn module(&mut self) -> Option<&mut Module> {
        let is_within_function = self.blocks > 0;
        let module = self.parsed.modules.get_mut(&self.path);
        module.filter(|_| !is_within_function)
    }

    fn import(&mut self, tree: &UseTree, mut before: Vec<String>, is_external: bool) {
        let name = match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                return self.import(&path.tree, before, is_external);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, before.clone(), is_external);
                }
                return;
            }
            UseTree::Glob(_) => {
                let mention = self.mention(before, is_external);
                if let Some(module) = self.module() {
                    module.globs.push(mention);
                }
                return;
            }
            UseTree::Name(name) => {
                before.push(name.ident.to_string());
                None
            }
            UseTree::Rename(rename) => {
                before.push(rename.ident.to_string());
                Some(rename.rename.to_string())
            }
        };
        before.retain({
            let mut at = 0;
            move |segment| {
                at += 1;
                at == 1 || segment != "self"
            }
        });
        let name = name.or_else(|| before.last().cloned()).unwrap_or_default();
        let mention = self.mention(before, is_external);
        if let Some(module) = self.module() {
            module.names.entry(name).or_default().push(Name::Import(mention));
        }
    }

    /// The paths among the tokens of a macro.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let is_colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            if let TokenTree::Group(group) = token {
                self.tokens(group.stream());
            }
            let is_external = at >= 2 && is_colon(at - 1) && is_colon(at - 2);
            let mut segments = Vec::new();
            while let Some(TokenTree::Ident(ident)) = tokens.get(at) {
                segments.push(ident.to_string());
                if !(is_colon(at + 1) && is_colon(at + 2)) {
                    break;
                }
                at += 3;
            }
            if segments.len() > 1 {
                self.mention(segments, is_external);
            }
            at += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, name) = describe(item);
        if attributes.iter().any(is_test) {
            return;
        }
        if let (Some(name), Some(module)) = (name, self.module()) {
            module.names.entry(name).or_default().push(Name::Item);
        }
        if let (Item::Macro(item), Some(module)) = (item, self.module()) {
            module.has_macro_items |= item.ident.is_none();
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let mut path = self.path.clone();
        path.push(item.ident.to_string());
        let Some((_, items)) = &item.content else {
            self.children.push(path);
            return;
        };
        let outer = std::mem::replace(&mut self.path, path);
        self.open_module();
        for item in items {
            self.visit_item(item);
        }
        self.path = outer;
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.import(&item.tree, Vec::new(), item.leading_colon.is_some());
    }

    fn visit_block(&mut self, block: &'ast syn::Block) {
        self.blocks += 1;
        visit::visit_block(self, block);
        self.blocks -= 1;
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.mention(segments, path.leading_colon.is_some());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.visit_path(&item.path);
        // What these hold is the code of another crate.
        let written = ["quote", "quote_spanned", "parse_quote", "parse_quote_spanned"];
        let name = item.path.segments.last().map(|segment| segment.ident.to_string());
        if name.is_none_or(|name| !written.contains(&name.as_str())) {
            self.tokens(item.tokens.clone());
        }
    }

    /// `pub(in path)` imports nothing.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}
}

/// Attributes, and the name if others can import it and it is no module.
fn describe(item: &Item) -> (&[Attribute], Option<String>) {
    let (attributes, ident) = match item {
        Item::Const(item) => (&item.attrs, Some(&item.ident)),
        Item::Enum(item) => (&item.attrs, Some(&item.ident)),
        Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
        Item::Impl(item) => (&item.attrs, None),
        Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
        Item::Mod(item) => (&item.attrs, None),
        Item::Static(item) => (&item.attrs, Some(&item.ident)),
        Item::Struct(item) => (&item.attrs, Some(&item.ident)),
        Item::Trait(item) => (&item.attrs, Some(&item.ident)),
        Item::Type(item) => (&item.attrs, Some(&item.ident)),
        Item::Union(item) => (&item.attrs, Some(&item.ident)),
        Item::Use(item) => (&item.attrs, None),
        _ => return (&[], None),
    };
    (attributes, ident.map(ToString::to_string))
}

/// `#[cfg(test)]`, or `#[cfg(all(..., test, ...))]`.
fn is_test(attribute: &Attribute) -> bool {
    fn words(tokens: TokenStream, all: &mut BTreeSet<String>) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => words(group.stream(), all),
                TokenTree::Ident(ident) => drop(all.insert(ident.to_string())),
                _ => {}
            }
        }
    }
    let syn::Meta::List(list) = &attribute.meta else {
        return false;
    };
    let mut all = BTreeSet::new();
    words(list.tokens.clone(), &mut all);
    list.path.is_ident("cfg") && all.contains("test") && !all.contains("not") && !all.contains("any")
}
