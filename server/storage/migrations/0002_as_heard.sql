ALTER TABLE `turns` ADD `heard_samples` integer;
--> statement-breakpoint
ALTER TABLE `sessions` ADD `status` text DEFAULT 'active' NOT NULL;
--> statement-breakpoint
ALTER TABLE `sessions` ADD `ended_at` integer;
--> statement-breakpoint
ALTER TABLE `sessions` ADD `gateway` text;
