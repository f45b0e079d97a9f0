import { render } from "preact";
import { adoptToken } from "./api/client";
import { App } from "./app/App";
import "./app/app.css";
import { installKeys } from "./app/keys";
import { start } from "./app/address";

adoptToken();
installKeys();
const root = document.getElementById("app");
if (root !== null) render(<App />, root);
void start();
