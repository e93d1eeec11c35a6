// The documentation pages. They share the dashboard's modules, and add the search, the
// languages of code and the form that tries an operation.
import { copyButtons } from "../../js/copy.js";
import { dialogs } from "../../js/dialog.js";
import { keyboard } from "../../js/keys.js";
import { themeToggle } from "../../js/toggle.js";
import { languages } from "./language.js";
import { contents } from "./contents.js";
import { search } from "./search.js";
import { tryForm } from "./try.js";

themeToggle();
copyButtons();
dialogs();
keyboard();
languages();
contents();
search();
tryForm();
