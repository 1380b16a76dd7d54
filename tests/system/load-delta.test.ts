import { loadScenarios } from "./load-scenarios.js";

loadScenarios("delta");
